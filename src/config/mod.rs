//! The configuration: typed and validated, with every problem reported at once.
//!
//! The way of a file: `load` finds and reads it, `syntax` parses it (TOML 1.0 only), `read` brings it
//! into the shape that `raw` declares, `validate` turns that into the types of `settings`. A `problem`
//! has a file, a line and a hint. `secret` reads passwords at each connect, `url` reads addresses,
//! `pattern` matches names. Nothing here connects anywhere.

mod alerts;
mod columns;
mod command;
mod later;
mod load;
pub mod pattern;
mod problem;
mod raw;
mod read;
mod rules;
mod schema;
mod secret;
mod settings;
pub(crate) mod suggest;
mod syntax;
#[cfg(test)]
mod tests;
mod toml10;
mod units;
mod url;
mod validate;

pub use alerts::{AlertBounds, Alerts, Webhook, WebhookFormat, WebhookUrl};
pub(crate) use command::feed;
pub use load::{load, parse};
pub use problem::{Problem, Problems};
pub use schema::json_schema;
pub(crate) use secret::refuse_open;
pub use settings::{
    ApplyOptions, Config, Database, Deletes, Dialect, DroppedPartitions, Http, Initial, LinkName,
    OnFlagged, OnPoison, RETENTION_MIN, Rate, Replicate, Secret, Start, Streaming, TableMapping,
    TableSeries, Tls, TlsMode, Truncates,
};
pub(crate) use units::{parse_duration, show_duration, show_rate, show_size};
pub use url::{is_loopback, is_socket};
