//! Column rules: the steps that a person writes for a column, and what becomes of values that no step
//! and no type can carry.
//!
//! [`Step`]s are read once from the configuration and know nothing of tables. [`compile`] binds a list to
//! a column pair: each step is told what kind of value it gets and says what kind it makes, so a list
//! that cannot work is refused before the first row. [`Rules`] then turn values, in order: steps,
//! implicit conversion, fit check. Pure: the same row always gives the same value.

pub mod literal;
pub mod settings;
pub mod step;

mod bind;
mod ciphers;
mod clock;
mod compile;
mod dates;
mod documents;
mod expr;
mod format;
mod json_set;
mod kind;
mod lookup;
mod mend;
mod number;
mod numbers;
mod phones;
mod registry;
mod run;
mod secrets;
mod spelled;
mod stand;
mod texts;
mod validate;
mod values;
mod words;

pub use bind::Beside;
pub(crate) use bind::Scope;
pub use compile::{Compiled, Site, compile};
pub use literal::Literal;
pub use lookup::{List, Lists, Look};
pub use registry::{STEPS, build};
pub use run::{Failure, Outcome, Outcomes, Rules};
pub use secrets::{KEY_BYTES, hexed};
pub use settings::{Choice, SETTINGS, Settings};
pub(crate) use stand::zerofill_width;
pub use step::Step;
