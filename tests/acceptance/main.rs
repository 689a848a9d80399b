//! The acceptance tier.
fn main() {}
