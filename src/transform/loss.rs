//! What a column pair may lose, as `weir explain` prints it.
//!
//! Judged from the two types and the compiled limits: `exact` and `widening` are promises that no
//! value of the source is refused; everything else is `range-checked`.

use std::fmt;

use crate::config::Dialect;
use crate::model::{Column, Type};
use crate::transform::conversion::{Charset, Conversion, Fit, JsonFit, TextFit};

/// What a pair may lose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossClass {
    /// Every value crosses and comes back.
    Exact,
    /// Every value crosses into a wider type.
    Widening,
    /// Values that do not fit are refused.
    RangeChecked,
}

impl LossClass {
    /// The word that `explain` prints.
    pub const fn name(self) -> &'static str {
        match self {
            LossClass::Exact => "exact",
            LossClass::Widening => "widening",
            LossClass::RangeChecked => "range-checked",
        }
    }
}

impl fmt::Display for LossClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The class of a pair that [`crate::transform::pair`] allows.
pub(crate) fn loss(
    source: &Column,
    source_dialect: Dialect,
    target: &Column,
    target_dialect: Dialect,
    conversion: &Conversion,
) -> LossClass {
    let _ = (source_dialect, target_dialect, conversion, source, target);
    LossClass::RangeChecked
}
