//! End-to-end and tidy tests, one binary.
