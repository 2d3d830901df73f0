//! How we know: the tests of the project as a whole are in `tests/all`, one target, so that it is linked once.
