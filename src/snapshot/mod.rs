//! Copying what is in the tables already: what is kept of a copy, and how fast it goes. Pure; the link
//! reads and writes (`link/copying`).

pub mod caution;
pub mod order;
pub mod pace;
pub mod progress;
