//! `weir flagged …`: what people do with what a database wrote that is not the owner. The records are rows of
//! `weir.flagged` in the target, so everything here works with weir running, halted or stopped; a link that
//! runs finds by itself what it is asked for.

mod accept;
mod decide;
mod list;
mod record;

use std::process::ExitCode;

use crate::cli::args::{FlaggedArgs, FlaggedVerb, Global};
use crate::cli::context::load;
use crate::error::Result;

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &FlaggedArgs) -> Result<ExitCode> {
    let config = load(global)?;
    match &args.verb {
        FlaggedVerb::List(args) => list::run(config, args).await,
        FlaggedVerb::Show(args) => list::show(config, args).await,
        FlaggedVerb::Revert(args) => Box::pin(decide::revert(config, args)).await,
        FlaggedVerb::Accept(args) => Box::pin(accept::run(config, args)).await,
        FlaggedVerb::Dismiss(args) => decide::dismiss(config, args).await,
        FlaggedVerb::Export(args) => list::export(config, args).await,
    }
}
