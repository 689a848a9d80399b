//! A trouble that may pass and lasts: since when a link tries again, over as many tries as it takes. No
//! clock: whoever asks says what time it is.

use crate::error::Kind;

/// A link that has run for this long had no trouble any more, in microseconds: one that is refused
/// anew by each try runs as long as it takes to be refused.
const OVER_AFTER_US: i64 = 60_000_000;

/// What a link is in, if it is in any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble(Option<Known>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    since_us: i64,
    kind: Kind,
    kind_since_us: i64,
}

impl Trouble {
    /// An attempt has ended that ran for `ran_us`; with `got_on`, something was applied.
    pub(super) fn after(&mut self, got_on: bool, ran_us: i64) {
        if got_on || ran_us >= OVER_AFTER_US {
            self.0 = None;
        }
    }

    /// An error of `kind` at `now_us`: since when the link tries again, and since when for this.
    pub(super) fn met(&mut self, kind: Kind, now_us: i64) -> (i64, i64) {
        let new = Known { since_us: now_us, kind, kind_since_us: now_us };
        let known = match self.0 {
            Some(known) if known.kind == kind => known,
            Some(known) => Known { since_us: known.since_us, ..new },
            None => new,
        };
        self.0 = Some(known);
        (known.since_us, known.kind_since_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a target that takes no writes for an hour were told to be away since the last try, or
    /// a trouble of yesterday were told to last still.
    #[test]
    fn a_trouble_lasts_until_the_link_gets_on() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.met(Kind::Connection, 1), (1, 1));
        trouble.after(false, 0);
        assert_eq!(trouble.met(Kind::ReadOnly, 2), (1, 2));
        trouble.after(false, OVER_AFTER_US - 1);
        assert_eq!(trouble.met(Kind::ReadOnly, 3), (1, 2));
        trouble.after(true, 0);
        assert_eq!(trouble.met(Kind::ReadOnly, 4), (4, 4));
        trouble.after(false, OVER_AFTER_US);
        assert_eq!(trouble.met(Kind::ReadOnly, 5), (5, 5));
    }
}
