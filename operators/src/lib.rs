//! How data changes.
