//! `weir dead-letters …`: what people do with the changes that were set aside. They are rows of
//! `weir.dead_letter` in the target, so everything here works with weir running, halted or stopped;
//! a link that runs finds by itself what is written there.
//!
//! Letters are read page by page, and of all of them only digests are held at a time. Letters whose
//! rows hang together (one row's later changes, a row under its former key) are tried and dropped
//! together.

mod choose;
mod discard;
mod export;
mod family;
mod letter;
mod list;
mod reading;
mod retry;
mod show;
mod wait;

use std::process::ExitCode;

pub(super) use letter::{age, key};
pub(super) use reading::excuse;

use crate::cli::args::{DeadLettersArgs, DeadLettersVerb, Global};
use crate::cli::context::load;
use crate::error::Result;

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &DeadLettersArgs) -> Result<ExitCode> {
    let config = load(global)?;
    match &args.verb {
        DeadLettersVerb::List(args) => list::run(config, args).await,
        DeadLettersVerb::Show(args) => show::run(config, args).await,
        DeadLettersVerb::Retry(args) => retry::run(config, args).await,
        DeadLettersVerb::Discard(args) => discard::run(config, args).await,
        DeadLettersVerb::Export(args) => export::run(config, args).await,
    }
}
