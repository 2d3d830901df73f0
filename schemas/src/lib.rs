//! What data is.
