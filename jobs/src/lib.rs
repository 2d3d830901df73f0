//! How data flows.
