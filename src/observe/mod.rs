//! What an operator sees: logs, metrics, health. Fed by the links through their status and their
//! observer port; never asked by them.

pub mod alert;
pub mod copies;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod readiness;
pub mod space;
