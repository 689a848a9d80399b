//! Whether something can be asked of a table's copy as it stands. Pure.

use crate::error::Result;
use crate::link::ports::StoredCopy;
use crate::snapshot::order::{Order, Scope, What};
use crate::snapshot::progress::Progress;

/// What is asked of each table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// A copy.
    Copy(Scope),
    /// That it waits.
    Pause,
    /// That it goes on.
    Resume,
    /// That it ends.
    Cancel,
}

impl Asks {
    /// As one asks for it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Asks::Copy(_) => "a copy",
            Asks::Pause => "a pause",
            Asks::Resume => "a resume",
            Asks::Cancel => "a cancel",
        }
    }

    /// As a verb.
    pub(super) const fn verb(&self) -> &'static str {
        match self {
            Asks::Copy(_) => "copy",
            Asks::Pause => "pause",
            Asks::Resume => "resume",
            Asks::Cancel => "cancel",
        }
    }
}

/// How a table's copy stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    /// How far it is.
    progress: Option<Progress>,
    /// What is asked and not taken up yet.
    order: Option<Order>,
}

impl Standing {
    /// That of a target table.
    pub(super) fn of(stored: &[StoredCopy], target: &str) -> Result<Standing> {
        let Some(copy) = stored.iter().find(|copy| copy.table == target) else {
            return Ok(Standing::default());
        };
        let progress = copy.progress.as_deref().map(Progress::of_text).transpose()?;
        let order = copy.asked.as_deref().map(Order::of_text).transpose()?;
        Ok(Standing { progress, order })
    }

    fn is_under_way(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| !progress.stage.is_over())
    }

    fn is_paused(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.paused)
    }

    fn is_asked(&self, what: impl Fn(&What) -> bool) -> bool {
        self.order.as_ref().is_some_and(|order| what(&order.what))
    }
}

/// Why it cannot be asked. `LINK` and `TABLE` in the hint stand for their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// After the table's name.
    pub(super) message: &'static str,
    /// What to do instead.
    pub(super) hint: &'static str,
}

const SEE: &str = "`weir snapshot LINK --status` shows the copies of the link";

/// Whether `asks` can be asked of a copy that stands so.
pub(super) fn judge(asks: &Asks, standing: &Standing) -> Result<(), Refusal> {
    let under_way = standing.is_under_way();
    let wanted = standing.is_asked(|what| matches!(what, What::Copy(_)));
    let pausing = standing.is_asked(|what| *what == What::Pause);
    let refuse = |message, hint| Err(Refusal { message, hint });
    match asks {
        Asks::Copy(_) if under_way => refuse(
            "is being copied already",
            "wait for it (`weir snapshot LINK TABLE --status --wait`), or end it (`weir snapshot LINK TABLE \
             --cancel`)",
        ),
        Asks::Copy(_) if wanted => refuse(
            "is to be copied already, and the link has not taken it up yet",
            "wait for it (`weir snapshot LINK TABLE --status --wait`), or take it back (`weir snapshot LINK \
             TABLE --cancel`)",
        ),
        Asks::Pause if under_way && standing.is_paused() => refuse("is paused already", SEE),
        Asks::Pause if !under_way && wanted => refuse(
            "is to be copied, and the link has not taken it up yet",
            "ask again once it has begun, or take it back: `weir snapshot LINK TABLE --cancel`",
        ),
        Asks::Resume if under_way && !standing.is_paused() && !pausing => {
            refuse("is not paused", SEE)
        }
        Asks::Cancel if wanted => Ok(()),
        Asks::Pause | Asks::Resume | Asks::Cancel if !under_way => {
            refuse("is not being copied", SEE)
        }
        Asks::Copy(_) | Asks::Pause | Asks::Resume | Asks::Cancel => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::progress::Stage;

    fn standing(stage: Option<Stage>, paused: bool, asked: Option<What>) -> Standing {
        let progress = stage.map(|stage| Progress { stage, paused, ..Progress::default() });
        let order = asked.map(|what| Order { id: "a".to_owned(), what });
        Standing { progress, order }
    }

    /// Broken if a running copy were begun anew, an order that waits were lost to another, or a person were
    /// kept from what can be done.
    #[test]
    fn only_what_can_be_done_is_asked() {
        let copy = || Asks::Copy(Scope::default());
        let wanted = || Some(What::Copy(Scope::default()));
        let none = standing(None, false, None);
        let over = standing(Some(Stage::Done), false, None);
        let waits = standing(None, false, wanted());
        let again = standing(Some(Stage::Done), false, wanted());
        let going = standing(Some(Stage::Copying), false, None);
        let first = standing(Some(Stage::Waiting), false, None);
        let paused = standing(Some(Stage::Checking), true, None);
        let pausing = standing(Some(Stage::Copying), false, Some(What::Pause));
        let each = [&none, &over, &waits, &again, &going, &first, &paused, &pausing];
        let allowed = |asks: &Asks| each.map(|standing| judge(asks, standing).is_ok());
        assert_eq!(allowed(&copy()), [true, true, false, false, false, false, false, false]);
        assert_eq!(allowed(&Asks::Pause), [false, false, false, false, true, true, false, true]);
        assert_eq!(allowed(&Asks::Resume), [false, false, false, false, false, false, true, true]);
        assert_eq!(allowed(&Asks::Cancel), [false, false, true, true, true, true, true, true]);
        let refusal = judge(&copy(), &going).expect_err("refused");
        assert!(refusal.hint.contains("--cancel") && refusal.hint.contains("--wait"));
    }
}
