//! From a source value to a target value: `mapping` decides per column pair at plan time, `coerce`
//! converts and fit-checks each value. Pure; a value that does not fit is an error with a reason
//! code, never altered.

pub mod mapping;

pub use mapping::{Conversion, LossClass};
