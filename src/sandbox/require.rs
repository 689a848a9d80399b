//! The rule of the tests for a server that cannot be had: a failure in CI, a loud skip elsewhere.
//!
//! Only a missing server may be skipped. A server that is there and does not start is a failure everywhere.

use super::{Error, Kind, Options, Result, Running, Server, start};
use crate::sandbox::tell::tell;

/// Starts a server for a test. `None` means it cannot be had on this machine and the test should end; this has been
/// said on stderr. With `CI=1` or `CI=true` that is an error instead.
pub async fn require(server: Server, options: Options) -> Result<Option<Running>> {
    match start(server, options).await {
        Ok(running) => Ok(Some(running)),
        Err(error) if error.kind() == Kind::Unavailable && !in_ci() => {
            say_skip(server, &error);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| matches!(value.as_str(), "1" | "true" | "yes"))
}

fn say_skip(server: Server, error: &Error) {
    let hint = error.hint().unwrap_or_default();
    tell!("\n**** SKIPPED: no {server} on this machine: {error}\n**** {hint}\n");
}
