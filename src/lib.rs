//! weir replicates changes between PostgreSQL, MySQL and MariaDB.
//!
//! It tails the source's log (`postgres`, `mysql`), judges each change by ownership
//! (`ownership`), transforms values between the dialects (`transform`, `plan`) and applies
//! idempotent steps to the target in transactions that carry their own position (`link`).
//! `ARCHITECTURE.md` has the picture and the invariants.

pub mod error;
pub mod model;
pub mod observe;
pub mod position;

pub mod cli;
pub mod config;
pub mod link;
pub mod mysql;

pub mod ownership;
pub mod plan;
pub mod postgres;
pub mod rooms;
pub mod sandbox;
pub mod snapshot;
pub mod state;
pub mod transform;
pub mod verify;

mod tls;
