//! A link: one direction from a source database to a target database. `ports` is what it needs of
//! the rooms and the state; the rest runs it.

mod accepted;
mod apply;
mod attempt;
mod attend;
pub mod backoff;
mod batch;
mod capture;
mod care;
mod claims;
mod creation;
mod deferral;
pub mod ends;
pub mod entry;
pub mod hosts;
mod isolate;
pub mod joining;
pub mod lag;
pub mod ledger;
pub mod letter;
pub mod moment;
pub mod notes;
pub mod observer;
pub mod ports;
pub mod queue;
mod refetch;
mod refetched;
mod repeats;
mod report;
pub mod resume;
pub(crate) mod review;
mod runner;
mod settle;
pub mod shutdown;
mod side;
#[cfg(test)]
mod simulation;
pub mod space;
pub mod status;
mod steps;
mod stream;
pub mod supervisor;
mod trouble;
mod window;
