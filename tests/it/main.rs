//! Tests that need more than one function: the tidy rules of the tree, and end-to-end runs of weir
//! against real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod mysql_source;
mod mysql_target;
mod postgres_source;
mod postgres_target;
mod sandbox;
mod tidy;
