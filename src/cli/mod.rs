//! The command line: one file per verb. Everything printed for people goes to standard output,
//! logs and errors to standard error.

mod args;
pub mod control;

pub use args::{Cli, Global, Verb};
