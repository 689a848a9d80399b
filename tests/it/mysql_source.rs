//! The MySQL and MariaDB capture on real servers: what the log holds arrives exactly, reads beside
//! the stream see the same values, and every way to lose or bend a change halts by name.

mod chunks;
mod given;
mod halts;
mod least;
mod marks;
mod places;
mod resume;
mod rig;
mod two_phases;
mod types;
mod undecided;
