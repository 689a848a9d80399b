//! Tests that need more than one function: the tidy rules of the tree, and end-to-end runs of weir
//! against real servers.
//!
//! `make test` shows each behaviour on one or two pairs of servers, chosen so that every server is met as
//! source and as target; the same on further pairs, and what needs minutes, is ignored here ("long") and
//! run by `make acceptance`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    unreachable_pub,
    reason = "a test fails by panicking; some modules are shared with the acceptance tier"
)]

mod alerts;
mod busy_elsewhere;
mod busy_rows;
mod cases;
mod charsets;
mod command_line;
mod control;
mod copying;
mod crash;
mod dead_letters;
mod defaults;
mod definitions;
mod docker;
mod duplicates;
mod emptied;
mod endpoint;
mod failover;
mod faults;
mod foreign_keys;
mod given_start;
mod harness;
mod hosts;
mod identities;
mod init;
mod letters;
mod load;
mod lookups;
mod masters;
mod metrics;
mod mysql_source;
mod mysql_target;
mod network;
mod odd_tables;
mod open_transactions;
mod operation;
mod ownership;
mod partitions;
mod postgres_source;
mod postgres_target;
mod prepared;
mod published;
mod random;
mod random_values;
mod refusals;
mod reload;
mod replica;
mod rights;
mod rotation;
mod round_trip;
mod rules;
mod sample;
mod sandbox;
mod scenarios;
mod service;
mod set_aside;
mod settings;
mod snapshot;
mod standby;
mod steps;
mod stopping;
mod streams;
mod tables;
mod teardown;
mod tidy;
mod tls;
mod transient;
mod unseen_cascades;
mod vectors;
mod verify;
