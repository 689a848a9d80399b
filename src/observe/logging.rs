//! Logs to standard error, as text or JSON lines.
//!
//! The level comes from `WEIR_LOG` (`info` by default; `weir=debug` and the like work too). The
//! libraries below weir speak from `warn` on. Row values and secrets are never logged at info.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::SystemTime;

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line per event.
    Text,
    /// One JSON object per line.
    Json,
}

/// Installs the subscriber of the process. `filter` is the text of `WEIR_LOG`.
pub fn install(format: LogFormat, filter: Option<&str>) -> Result<(), String> {
    let text = match filter.filter(|text| !text.is_empty()) {
        Some(level) if !level.contains(['=', ',']) => format!("warn,weir={level}"),
        Some(directives) => directives.to_owned(),
        None => "warn,weir=info".to_owned(),
    };
    let filter = EnvFilter::try_new(&text).map_err(|error| format!("WEIR_LOG={text}: {error}"))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_timer(SystemTime)
        // Told on stderr too, which panics where the log's own disk is full.
        .log_internal_errors(false)
        .with_target(false);
    let installed = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    installed.map_err(|error| error.to_string())
}
