//! Keeps repeated errors from flooding the log: the same words are said once a minute, with a count
//! of how often they were kept back in between. Pure; the caller says what time it is.

use std::time::Duration;

use tokio::time::Instant;

/// How long the same words are kept back.
const QUIET: Duration = Duration::from_secs(60);

/// What was said last.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    last: Option<(String, Instant)>,
    kept_back: u32,
}

impl Repeats {
    /// Whether `text` is to be said now: how often it was kept back since it was said, or `None`.
    pub(super) fn say(&mut self, text: &str, now: Instant) -> Option<u32> {
        let known = self.last.as_ref().filter(|(last, _)| last == text);
        if known.is_some_and(|(_, at)| now.duration_since(*at) < QUIET) {
            self.kept_back = self.kept_back.saturating_add(1);
            return None;
        }
        let kept_back = if known.is_some() { self.kept_back } else { 0 };
        self.kept_back = 0;
        self.last = Some((text.to_owned(), now));
        Some(kept_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a server that is down flooded the log, or a new trouble went unsaid.
    #[test]
    fn the_same_words_once_a_minute() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut repeats = Repeats::default();
        assert_eq!(repeats.say("refused", at(0)), Some(0));
        assert_eq!(repeats.say("refused", at(1)), None);
        assert_eq!(repeats.say("refused", at(59)), None);
        assert_eq!(repeats.say("refused", at(60)), Some(2));
        assert_eq!(repeats.say("refused", at(61)), None);
        assert_eq!(repeats.say("starting up", at(62)), Some(0));
        assert_eq!(repeats.say("refused", at(63)), Some(0));
    }
}
