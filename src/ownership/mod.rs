//! Who may change what: the gate judges each change of the source.

pub mod gate;

pub use gate::{Changed, Event, Facts, Flag, Policy, Ruling, Standing, Verdict, Writer, judge};
