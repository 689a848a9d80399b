//! Who may change what: the gate judges each change of the source.

pub mod gate;

pub use gate::{Event, Policy, Verdict, judge};
