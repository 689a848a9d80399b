//! From a source value to a target value: `mapping` decides per column pair at plan time, `coerce`
//! converts and fit-checks each value. Pure; a value that does not fit is an error with a reason
//! code, never altered.

pub mod charset;
pub mod coerce;
pub mod conversion;
pub mod decimal;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod forms;
pub mod json;
pub mod loss;
pub mod mapping;
pub mod reason;
pub mod refused;
pub mod rules;
pub mod text;

pub use charset::Charset;
pub use coerce::convert;
pub use conversion::{Conversion, Fit};
pub use loss::LossClass;
pub use mapping::{pair, reverse};
pub use reason::Reason;
