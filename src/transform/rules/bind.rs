//! What a step becomes once it knows which kind of value it gets: a function from value to value, the
//! kind it makes, and the way back where there is one.

use std::cell::RefCell;
use std::sync::Arc;

use bytestring::ByteString;

use super::kind::Kind;
use super::lookup::Lists;
use super::run::{Outcome, Outcomes};
use crate::model::{Column, Row, Table, Value};
use crate::transform::Reason;

/// Binds a step.
pub(super) type Bind = Arc<dyn Fn(&Ground<'_>) -> Result<Bound, String> + Send + Sync>;
/// Turns one value; with the source's row, for steps that look at other columns.
pub(super) type Run = Arc<dyn Fn(Value, &Scope<'_>) -> Result<Turned, Reason> + Send + Sync>;
/// The way back of one value.
pub(super) type Back = Arc<dyn Fn(Value) -> Result<Value, Reason> + Send + Sync>;

/// What is known of a row beside its values.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside<'a> {
    /// When the change was committed at the source, microseconds since 1970-01-01 UTC; `None` for rows that were
    /// read by themselves, of which nothing tells it.
    pub committed_us: Option<i64>,
    /// Where it is noted what validations do.
    pub outcomes: Option<&'a RefCell<Outcomes>>,
}

/// The row that a value is of: other columns, for steps that look at them.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// The row.
    pub(crate) row: &'a Row,
    /// The row before, for what the row does not repeat.
    pub(crate) before: Option<&'a Row>,
    /// What else is known of it.
    pub(crate) beside: Beside<'a>,
    /// The places of its table and of the column in the plan.
    pub(crate) place: (usize, usize),
}

impl<'a> Scope<'a> {
    /// A row that was read by itself.
    pub(crate) fn of(row: &'a Row) -> Scope<'a> {
        Scope { row, before: None, beside: Beside::default(), place: (0, 0) }
    }
}

impl Scope<'_> {
    /// A column of the source's row, if it is known.
    pub(super) fn get(&self, at: usize) -> Option<&Value> {
        let known = |row: &'_ Row| row.get(at).is_some_and(Value::is_known);
        match self.before {
            Some(before) if !known(self.row) => before.get(at).filter(|value| value.is_known()),
            _ => self.row.get(at).filter(|value| value.is_known()),
        }
    }
}

/// What a step knows of its place when it is bound.
pub(super) struct Ground<'a> {
    /// The kind of value it gets.
    pub(super) kind: Kind,
    /// The source's table.
    pub(super) table: &'a Table,
    /// The column there.
    pub(super) column: &'a Column,
    /// The target's table, and the column there.
    pub(super) target: (&'a Table, &'a Column),
    /// Whether the target takes NULL.
    pub(super) nullable: bool,
    /// The target's kind, for steps that make what is asked of them.
    pub(super) wanted: Kind,
    /// Whether rows are matched by the column.
    pub(super) key: bool,
    /// The tables that steps look into.
    pub(super) lists: &'a Lists,
}

/// A value that was turned, and what a rule did to it.
pub(super) struct Turned {
    pub(super) value: Value,
    pub(super) outcome: Option<Outcome>,
}

impl From<Value> for Turned {
    fn from(value: Value) -> Turned {
        Turned { value, outcome: None }
    }
}

/// A step that is bound.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) run: Run,
    pub(super) back: Option<Back>,
    /// The kind it makes.
    pub(super) kind: Kind,
    /// Whether it is asked about NULL, which passes by others.
    pub(super) takes_null: bool,
    /// The columns of the source that it looks at besides its own.
    pub(super) reads: Vec<usize>,
    /// Whether it looks at the time of the commit.
    pub(super) of_commit: bool,
}

impl Bound {
    /// A step that makes values of `kind`.
    pub(super) fn of(
        kind: Kind,
        run: impl Fn(Value) -> Result<Value, Reason> + Send + Sync + 'static,
    ) -> Bound {
        Bound {
            run: Arc::new(move |value, _| run(value).map(Turned::from)),
            back: None,
            kind,
            takes_null: false,
            reads: Vec::new(),
            of_commit: false,
        }
    }

    /// With its way back.
    pub(super) fn back(
        self,
        back: impl Fn(Value) -> Result<Value, Reason> + Send + Sync + 'static,
    ) -> Bound {
        Bound { back: Some(Arc::new(back)), ..self }
    }

    /// Asked about NULL too.
    pub(super) fn with_null(self) -> Bound {
        Bound { takes_null: true, ..self }
    }
}

/// Binds a step that turns text into text.
pub(super) fn text_to_text(
    ground: &Ground<'_>,
    turn: impl Fn(&str) -> Result<String, Reason> + Send + Sync + 'static,
) -> Result<Bound, String> {
    needs(ground, &[Kind::Text, Kind::Enum])?;
    Ok(Bound::of(Kind::Text, move |value| match value {
        Value::Text(text) | Value::Enum(text) => {
            turn(&text).map(|turned| Value::Text(ByteString::from(turned)))
        }
        Value::EnumInvalid => Err(Reason::EnumInvalid),
        _ => Err(Reason::PairNeedsRule),
    }))
}

/// That a step gets one of these kinds.
pub(super) fn needs(ground: &Ground<'_>, kinds: &[Kind]) -> Result<(), String> {
    if kinds.contains(&ground.kind) {
        return Ok(());
    }
    let kinds: Vec<_> = kinds.iter().map(Kind::to_string).collect();
    Err(format!("takes {}, and gets {}", kinds.join(" or "), ground.kind))
}
