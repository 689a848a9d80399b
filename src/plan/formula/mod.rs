//! Formulas: what a server computes of a row's columns, read from tokens (`parse`) and weighed (`meaning`).

mod meaning;
mod parse;

pub use meaning::{Kind, Texts, holds, meaning};
pub use parse::{Token, number, parse, sign, word};
