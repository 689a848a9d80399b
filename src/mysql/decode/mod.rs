//! Row images and single values of the binary log to model values, pure.
//!
//! The library's row decoder is not used: it bends negative MEDIUMINT and TIME values, YEAR 0 and
//! more without an error. Here every value is read by the column's own description in the log
//! (type, sign, character set, labels) and by the planned column's type. Nothing panics, and no
//! memory is taken by a length that was not checked against the bytes at hand.

pub(crate) mod decimal;
pub(crate) mod json;
mod json_number;
pub(crate) mod row;
pub(crate) mod shape;
pub(crate) mod temporal;

#[cfg(test)]
mod tests;

pub(crate) use shape::Shape;
