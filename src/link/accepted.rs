//! What was accepted of a link's tables, kept beside the witness in the target as well: an empty state
//! directory goes on from the witness, and a table that left the log for a while, was altered or made
//! anew must not pass unseen because of that. Where the target does not hold it either, a person has to
//! look.
//!
//! It is written before the link streams, where it differs from what is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::link::attempt::answered;
use crate::link::ledger::{Checkpoint, Shape};
use crate::link::ports::Target;
use crate::model::Witness;
use crate::plan::Outline;

#[derive(Serialize, Deserialize)]
struct Accepted {
    shapes: Arc<BTreeMap<String, Shape>>,
    #[serde(default)]
    outline: Option<Arc<Outline>>,
}

/// Lets a checkpoint that knows no tables know those that the target holds.
///
/// # Errors
/// `TableGap` where it holds none: what became of the tables since can no longer be told.
pub(super) async fn recall(target: &mut dyn Target, checkpoint: &mut Checkpoint) -> Result<()> {
    let unknown = || {
        let context = "the state directory does not know this link, nor does the target hold what its \
                       tables were: whether one of them left the log since, or was altered or made \
                       anew, cannot be told";
        Error::new(Kind::TableGap, context).hint(
            "compare the tables with the target, then `weir resume LINK --schema-reviewed`; or give \
             the state directory what `weir checkpoint export` wrote",
        )
    };
    let text = target.accepted().await?.ok_or_else(unknown)?;
    let known: Accepted =
        serde_json::from_str(&text).map_err(|error| unknown().caused_by(error))?;
    checkpoint.shapes = known.shapes;
    checkpoint.outline = known.outline;
    Ok(())
}

/// Has the target hold what the checkpoint knows.
pub(super) async fn keep(
    target: &mut dyn Target,
    witness: &Witness,
    checkpoint: &Checkpoint,
) -> Result<()> {
    let known =
        Accepted { shapes: Arc::clone(&checkpoint.shapes), outline: checkpoint.outline.clone() };
    let text = serde_json::to_string(&known).map_err(|error| {
        Error::new(Kind::Internal, "the tables cannot be written down").caused_by(error)
    })?;
    let what = "write down the tables";
    if answered(what, target.accepted()).await?.as_ref() == Some(&text) {
        return Ok(());
    }
    answered(what, target.accept(witness, &text)).await
}
