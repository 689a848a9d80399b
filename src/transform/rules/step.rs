//! One step of a column's list: read and checked by itself, not yet bound to a column.

use std::fmt;
use std::sync::Arc;

use super::bind::{Bind, Bound, Ground};
use super::lookup::Look;
use super::settings::Choice;

/// One step.
#[derive(Clone)]
pub struct Step {
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) at: String,
    pub(super) bind: Bind,
    /// What it says of values that no type can carry, where it does nothing else.
    pub(super) choice: Option<(&'static str, Choice)>,
    /// The table that it looks into.
    pub(super) look: Option<Look>,
}

impl Step {
    /// Its name: `trim`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The step as JSON, for people and to see whether it has changed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a setting of `[conversion]`, which turns no value by itself.
    pub fn is_setting(&self) -> bool {
        self.choice.is_some()
    }

    /// The table that it looks into, if any.
    pub fn look(&self) -> Option<&Look> {
        self.look.as_ref()
    }

    /// Where it stands, `tables/a.toml:12`.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// The same step, which stands there.
    #[must_use]
    pub fn standing_at(self, at: String) -> Step {
        Step { at, ..self }
    }

    pub(super) fn bind(&self, ground: &Ground<'_>) -> Result<Bound, String> {
        (self.bind)(ground)
    }

    pub(super) fn of(
        bind: impl Fn(&Ground<'_>) -> Result<Bound, String> + Send + Sync + 'static,
    ) -> Step {
        Step {
            name: "",
            text: String::new(),
            at: String::new(),
            bind: Arc::new(bind),
            choice: None,
            look: None,
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Step {
    fn eq(&self, other: &Step) -> bool {
        self.text == other.text
    }
}
