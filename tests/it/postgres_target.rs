//! The apply side of PostgreSQL on real servers: what is written, what is refused, what is undone.

mod catalog;
mod copies;
mod counters;
mod fixture;
mod loads;
mod preflight;
mod transactions;
mod types;
mod verbs;
