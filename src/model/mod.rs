//! What flows through weir, in neutral words: values, rows, table descriptions, changes of the
//! source, steps for the target, and the witness. Depends on nothing else of weir.

pub mod batch;
pub mod calendar;
pub mod change;
pub mod formula;
pub mod schema;
pub mod shape;
pub mod value;
pub mod witness;

pub use batch::{Step, Verb};
pub use change::{Before, Change, Commit, Mark, Op, Part};
pub use schema::{
    Column, DefaultValue, Extras, ForeignKey, Identity, Rule, Table, TableName, Type, Unique,
};
pub use value::{Row, Value};
pub use witness::Witness;
