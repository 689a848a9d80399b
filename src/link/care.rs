//! How the next window is opened, after some that came to nothing: over fewer rows, and with the
//! applier standing still while they are read. Pure.
//!
//! A window is lost when its rows may have changed unseen after they were read, or when too much
//! changed to be remembered. The fewer rows and the less time, the less comes between; while nothing
//! is applied nothing comes between but what the source commits during the read itself.

/// Keys read in one window at most.
pub(super) const KEYS_MAX: usize = 500;
/// The same once a window was lost: they are read within a moment.
const KEYS_FEW: usize = 20;
/// Windows lost in a row before one row is read at a time.
const FEW: u32 = 4;
/// Windows lost in a row before there is a wait.
const LOST_MAX: u32 = 16;

/// What is known of how the windows before fared.
#[derive(Debug, Default)]
pub(super) struct Care {
    /// Windows lost in a row; after one that was written, as if fewer were.
    lost: u32,
}

impl Care {
    /// Keys of the next window at most.
    pub(super) fn keys_max(&self) -> usize {
        match self.lost {
            0 => KEYS_MAX,
            lost if lost < FEW => KEYS_FEW,
            _ => 1,
        }
    }

    /// Whether the applier stands still while the rows of the next window are read.
    pub(super) fn holds(&self) -> bool {
        self.lost > 0
    }

    /// A window was lost. Whether so many were that there is a wait before the next.
    #[must_use]
    pub(super) fn lose(&mut self) -> bool {
        self.lost = (self.lost + 1).min(LOST_MAX);
        self.lost == LOST_MAX
    }

    /// A window was written; `calm` if nothing in it could have had it lost.
    pub(super) fn win(&mut self, calm: bool) {
        self.lost = match self.lost {
            _ if calm => 0,
            lost if lost < FEW => lost.min(1),
            _ => FEW - 1,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if windows that are lost were opened again in the same way for ever, or without a wait
    /// in between; or if the care went on after its cause, or ended while it lasts.
    #[test]
    fn care_rises_with_what_is_lost() {
        let mut care = Care::default();
        let mut seen = Vec::new();
        for _ in 0..LOST_MAX + 2 {
            seen.push((care.keys_max(), care.holds(), care.lose()));
        }
        assert_eq!(seen[0], (500, false, false));
        assert!(seen[1..4].iter().all(|seen| *seen == (20, true, false)), "{seen:?}");
        assert!(seen[4..15].iter().all(|seen| *seen == (1, true, false)), "{seen:?}");
        assert!(seen[15..].iter().all(|seen| *seen == (1, true, true)), "{seen:?}");
        care.win(false);
        assert_eq!((care.keys_max(), care.lose()), (20, false), "perhaps it was the last");
        assert_eq!((care.keys_max(), care.lose()), (1, false), "it was not");
        care.win(true);
        assert_eq!((care.keys_max(), care.holds()), (500, false));
        let _ = care.lose();
        care.win(false);
        assert_eq!((care.keys_max(), care.holds()), (20, true));
    }
}
