//! Row images and single values of the binary log to model values, pure.
//!
//! The library's row decoder is not used: it bends negative MEDIUMINT and TIME values, YEAR 0 and
//! more without an error. Here every value is read by the column's own description in the log
//! (type, sign, character set, labels) and by the planned column's type. Nothing panics, and no
//! memory is taken by a length that was not checked against the bytes at hand.

pub mod charset;
pub mod decimal;
pub mod json;
mod json_number;
pub mod row;
pub mod shape;
pub mod temporal;

#[cfg(test)]
mod tests;

pub use charset::Charset;
pub use row::Image;
pub use shape::Shape;
