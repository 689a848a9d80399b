//! The compiled rules of one column: values go through the steps, the implicit conversion and the fit
//! check, and what they cannot carry is mended where somebody has said how.
//!
//! What fails says at which step and why, never the value. What validations do is noted for whoever asks for it,
//! who counts it once it is committed.

use std::collections::BTreeMap;
use std::fmt;

use super::bind::{Bound, Scope};
use super::mend::Mends;
use super::numbers::number_of;
use super::values::text_of;
use crate::model::Value;
use crate::transform::{Conversion, Reason, convert};

/// What a validation did with a value that it found wanting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was rejected.
    Reject,
    /// It became NULL.
    Null,
    /// It became the nearest value that is right.
    Clamp,
    /// It became another value.
    Default,
    /// It was written all the same.
    Warn,
}

impl Outcome {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Reject => "reject",
            Outcome::Null => "null",
            Outcome::Clamp => "clamp",
            Outcome::Default => "default",
            Outcome::Warn => "warn",
        }
    }
}

/// How often validations did what: by the places of table and column in the plan, the step's number, and the
/// outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcomes(pub BTreeMap<(usize, usize, usize, Outcome), u64>);

impl Outcomes {
    /// Adds others.
    pub fn add(&mut self, others: Outcomes) {
        for (place, values) in others.0 {
            *self.0.entry(place).or_default() += values;
        }
    }
}

/// Why a value has no form at the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The step that refused it, from 1, and its name; none where no step did.
    pub step: Option<(usize, &'static str)>,
    /// Why.
    pub reason: Reason,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some((number, name)) => write!(f, "step {number} ({name}): {}", self.reason),
            None => write!(f, "{}", self.reason),
        }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Failure {
        Failure { step: None, reason }
    }
}

/// A step in its place.
pub(super) struct Placed {
    pub(super) number: usize,
    pub(super) name: &'static str,
    pub(super) bound: Bound,
}

impl Placed {
    pub(super) fn new(number: usize, name: &'static str, bound: Bound) -> Placed {
        Placed { number, name, bound }
    }

    fn count(&self, outcome: Outcome, scope: &Scope<'_>) {
        if let Some(outcomes) = scope.beside.outcomes.filter(|_| self.name == "validate") {
            let place = (scope.place.0, scope.place.1, self.number, outcome);
            *outcomes.borrow_mut().0.entry(place).or_default() += 1;
        }
    }
}

/// An implicit change of the kind of value at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cast {
    None,
    /// Text that is a plain number.
    TextToNumber,
    /// An exact number into the nearest float, where that has the same text.
    NumberToFloat,
}

/// The rules of one column.
pub struct Rules {
    pub(super) steps: Vec<Placed>,
    pub(super) mends: Mends,
    pub(super) cast: Cast,
    /// Whether rows are matched by the column: its values must be told apart, and come back.
    pub(super) key: bool,
    /// The steps and settings, for people and to see whether they have changed.
    pub(super) text: String,
    /// What tells the rows of the tables that are looked into from others.
    pub(super) lists: Option<String>,
    /// Whether every step has its way back.
    pub(super) has_way_back: bool,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Rules {
    /// The steps and settings as JSON.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What tells the rows of the tables that the steps look into from others, if they look into any.
    pub fn lists(&self) -> Option<&str> {
        self.lists.as_deref()
    }

    /// Whether values come back from what they become.
    pub fn has_way_back(&self) -> bool {
        self.has_way_back
    }

    /// The columns of the source that are looked at besides the column itself.
    pub fn reads(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().flat_map(|step| step.bound.reads.iter().copied())
    }

    /// Whether the time of the commit is looked at: a row that is read by itself has another value then.
    pub fn is_of_commit(&self) -> bool {
        self.steps.iter().any(|step| step.bound.of_commit)
    }

    /// What the target holds for a value of the source.
    ///
    /// # Errors
    /// The step and the reason, where it has no form there.
    pub(crate) fn apply(
        &self,
        conversion: &Conversion,
        value: &Value,
        scope: &Scope<'_>,
    ) -> Result<Value, Failure> {
        let stepped = self.stepped(conversion, value, scope)?;
        if !stepped.is_known() {
            return Ok(Value::Unchanged);
        }
        if self.key && stepped != Value::Null && !self.comes_back(value, &stepped) {
            let step = Some((self.steps.len(), "way back of the match key"));
            return Err(Failure { step, reason: Reason::Validation });
        }
        self.ended(conversion, stepped).map_err(Failure::from)
    }

    /// The source's value of one that the target holds, converted to the kind that the last step makes.
    ///
    /// # Errors
    /// Where it has no form at the source.
    pub(crate) fn back(&self, value: Value) -> Result<Value, Reason> {
        let mut value = value;
        for step in self.steps.iter().rev() {
            let back = step.bound.back.as_ref().ok_or(Reason::Validation)?;
            value = back(value)?;
        }
        Ok(value)
    }

    /// Whether a row holds some of what the steps look at and lacks some: where they have made nothing of it, what
    /// they make may have changed, and only the whole row tells.
    pub(crate) fn is_in_part(&self, value: &Value, scope: &Scope<'_>) -> bool {
        let known = || self.reads().map(|at| scope.get(at).is_some());
        if known().next().is_none() {
            return false;
        }
        let (any, all) = (
            value.is_known() || known().any(|one| one),
            value.is_known() && known().all(|one| one),
        );
        any && !all
    }

    /// What the steps make; unknown where they need something of the row that is not known.
    fn stepped(
        &self,
        conversion: &Conversion,
        value: &Value,
        scope: &Scope<'_>,
    ) -> Result<Value, Failure> {
        let mut value = value.clone();
        for step in &self.steps {
            let passes = match value {
                Value::Unchanged => step.bound.reads.is_empty(),
                Value::Null => !step.bound.takes_null,
                _ => false,
            };
            if !passes {
                value = self.step(step, conversion, value, scope)?;
            }
        }
        Ok(value)
    }

    fn step(
        &self,
        step: &Placed,
        conversion: &Conversion,
        value: Value,
        scope: &Scope<'_>,
    ) -> Result<Value, Failure> {
        let mut turned = (step.bound.run)(value.clone(), scope);
        if let Err(reason) = turned
            && let Some(mended) = self.mends.mend(reason, &value, conversion)
        {
            turned = match mended {
                Value::Null if !step.bound.takes_null => return Ok(Value::Null),
                mended => (step.bound.run)(mended, scope),
            };
        }
        match turned {
            Ok(turned) => {
                if let Some(outcome) = turned.outcome {
                    step.count(outcome, scope);
                }
                Ok(turned.value)
            }
            Err(Reason::MissingValue) => Ok(Value::Unchanged),
            Err(reason) => {
                step.count(Outcome::Reject, scope);
                Err(Failure { step: Some((step.number, step.name)), reason })
            }
        }
    }

    /// Whether the steps' way back leads to the same value, so that no other has this one's form.
    fn comes_back(&self, value: &Value, stepped: &Value) -> bool {
        let Ok(back) = self.back(stepped.clone()) else { return false };
        back == *value || text_of(&back).is_some() && text_of(&back) == text_of(value)
    }

    fn ended(&self, conversion: &Conversion, value: Value) -> Result<Value, Reason> {
        let mut value = value;
        // Each reason is mended once at most, so this ends.
        let mut mended = [None; 4];
        loop {
            let reason = match self.cast(&value).and_then(|cast| convert(conversion, &cast)) {
                Ok(value) => return Ok(value),
                Err(reason) => reason,
            };
            let slot = mended.iter_mut().find(|slot| slot.is_none() || **slot == Some(reason));
            match (slot, self.mends.mend(reason, &value, conversion)) {
                (Some(slot), Some(next)) if slot.is_none() => {
                    *slot = Some(reason);
                    value = next;
                }
                _ => return Err(reason),
            }
        }
    }

    fn cast(&self, value: &Value) -> Result<Value, Reason> {
        match (self.cast, value) {
            (Cast::TextToNumber, Value::Text(text)) => {
                let number = super::number::Number::parse(text).ok_or(Reason::Parse)?;
                Ok(Value::Decimal(number.to_string().into()))
            }
            (Cast::NumberToFloat, Value::Int(_) | Value::UInt(_) | Value::Decimal(_)) => {
                let number = number_of(value)?;
                let float: f64 = number.to_string().parse().map_err(|_| Reason::Parse)?;
                let same = super::number::Number::parse(&float.to_string());
                if same.as_ref() != Some(&number) {
                    return Err(Reason::PrecisionLoss);
                }
                Ok(Value::F64(float))
            }
            _ => Ok(value.clone()),
        }
    }
}
