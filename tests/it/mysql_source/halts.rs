//! Halts.
