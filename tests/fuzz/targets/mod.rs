//! The decoders under test, each with what must hold of whatever it is given.

mod binlog;
mod cells;
mod packed;
mod pgoutput;
mod postgres_text;
mod texts;

use weir::model::{Column, Type};

use crate::Target;

/// All of them.
pub(crate) const ALL: &[Target] = &[
    pgoutput::TARGET,
    postgres_text::TARGET,
    binlog::FILES,
    binlog::ROWS,
    packed::DECIMALS_AND_MOMENTS,
    packed::JSON,
    cells::TARGET,
    texts::CONFIGURATION,
    texts::POSITIONS,
    texts::JSON,
];

/// A column of this type.
fn column(ty: Type) -> Column {
    Column {
        name: "c".to_owned(),
        native: format!("{ty:?}"),
        ty,
        nullable: true,
        generated: false,
        formula: None,
        row_end: false,
        has_default: false,
        default: None,
        comment: None,
        sequences: Vec::new(),
        type_schemas: Vec::new(),
        auto_increment: false,
        on_update_now: false,
        exact_collation: true,
        charset: None,
    }
}

/// The way of an outcome that is an error of weir: its kind and words, without the numbers in them.
fn refused(error: &weir::error::Error) -> String {
    format!("{}: {}", error.kind().name(), error.chain())
}

/// What must hold.
macro_rules! hold {
    ($truth:expr, $($text:tt)+) => {
        if !$truth {
            return Err(format!($($text)+));
        }
    };
}
use hold;
