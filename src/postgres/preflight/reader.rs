//! Checks of a replica that tables are copied from.
//!
//! A standby cancels a read that stands in the way of what it replays. Pieces of a copy are small, and one
//! that was cancelled is read again; but where the standby is in a hurry a copy may never get on.

use crate::config::Database;
use crate::error::{Kind, Result};
use crate::link::ports::Finding;
use crate::postgres::failure::classify;
use crate::postgres::session;

/// A standby should let a piece of a copy be read for so long.
const DELAY_MIN_MS: i64 = 10_000;

const STANDBY: &str = "
SELECT pg_is_in_recovery() AS standby, current_setting('hot_standby_feedback')::bool AS feedback,
       (SELECT setting::int8 FROM pg_settings WHERE name = 'max_standby_streaming_delay') AS delay";

/// What stands against reading whole tables there.
pub(in crate::postgres) async fn check_reader(database: &Database) -> Result<Vec<Finding>> {
    let session = session::connect(database, "weir check").await?;
    let row = session.query_one(STANDBY, &[]).await;
    session.close().await;
    let context = || format!("check of database {}", database.name);
    let row = row.map_err(|error| classify(error, context()))?;
    let (standby, feedback) = (row.get("standby"), row.get("feedback"));
    let message = judge(standby, feedback, row.get::<_, Option<i64>>("delay"));
    let finding = |message| Finding {
        fatal: false,
        kind: Kind::Configuration,
        subject: format!("database {}", database.name),
        message,
        hint: "run that on the standby: its primary then keeps what is being read".to_owned(),
        mend: vec![
            "ALTER SYSTEM SET hot_standby_feedback = on".to_owned(),
            "SELECT pg_reload_conf()".to_owned(),
        ],
    };
    Ok(message.map(finding).into_iter().collect())
}

/// `delay` in milliseconds; -1 is for ever.
fn judge(standby: bool, feedback: bool, delay: Option<i64>) -> Option<String> {
    let delay = delay.filter(|delay| *delay >= 0 && *delay < DELAY_MIN_MS)?;
    (standby && !feedback).then(|| {
        format!(
            "the standby cancels what has been read for {} s (max_standby_streaming_delay) where its primary \
             has removed rows meanwhile, and it does not tell its primary (hot_standby_feedback = off): a copy \
             that is read here may not get on",
            delay as f64 / 1000.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a standby that cancels reads were not told of, or a warning met one that does not.
    #[test]
    fn a_standby_in_a_hurry_is_told_of() {
        assert!(judge(true, false, Some(2_000)).expect("told").contains("for 2 s"));
        assert!(judge(true, false, Some(0)).is_some());
        for (standby, feedback, delay) in [
            (true, true, Some(0)),
            (false, false, Some(0)),
            (true, false, Some(-1)),
            (true, false, Some(30_000)),
            (true, false, None),
        ] {
            assert_eq!(judge(standby, feedback, delay), None, "{standby} {feedback} {delay:?}");
        }
    }
}
