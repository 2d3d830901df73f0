//! The README: every command and every snippet in it works.
