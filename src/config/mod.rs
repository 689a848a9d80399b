//! The configuration: typed and validated, with every problem reported at once.
//!
//! `raw` is the file's shape, `validate` turns it into the types here, `load` finds and reads the
//! files, `secret` holds passwords, `url` reads database addresses. Nothing here connects anywhere.

mod secret;
mod settings;

pub use settings::{
    ApplyOptions, Config, Database, Deletes, Dialect, Http, LinkName, Replicate, Secret, Start,
    TableMapping, Tls, Truncates,
};
