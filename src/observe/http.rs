//! The HTTP endpoint: `/metrics`, `/healthz`, `/readyz`. Reads only; there is no write verb over
//! HTTP, ever.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Kind, Result};
use crate::observe::readiness::Readiness;

/// What the endpoint shows.
pub trait Exposition: Send + Sync + 'static {
    /// The metrics in OpenMetrics text.
    fn metrics(&self) -> String;

    /// How the links are.
    fn readiness(&self) -> Readiness;
}

/// Content type of the OpenMetrics text format 1.0.0.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Binds `listen`; the server runs in the returned future until `stop`.
pub async fn serve(
    listen: SocketAddr,
    exposition: Arc<dyn Exposition>,
    stop: CancellationToken,
) -> Result<impl Future<Output = Result<()>>> {
    let listener = TcpListener::bind(listen).await.map_err(|cause| {
        let error = Error::new(Kind::Io, format!("cannot listen on {listen} for http"));
        match cause.kind() {
            ErrorKind::AddrInUse => error
                .hint("another process listens there: change [http] listen, or stop the other one"),
            ErrorKind::AddrNotAvailable => {
                error.hint("this machine does not have that address: change [http] listen")
            }
            ErrorKind::PermissionDenied => {
                error.hint("weir's user may not use that port: change [http] listen")
            }
            _ => error,
        }
        .caused_by(cause)
    })?;
    let local = listener.local_addr().unwrap_or(listen);
    tracing::info!(listen = %local, "http endpoint is up");
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(exposition);
    Ok(async move {
        axum::serve(listener, app)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
            .map_err(|cause| Error::new(Kind::Io, "the http endpoint failed").caused_by(cause))
    })
}

async fn metrics(State(exposition): State<Arc<dyn Exposition>>) -> Response {
    ([(header::CONTENT_TYPE, OPENMETRICS)], exposition.metrics()).into_response()
}

async fn readyz(State(exposition): State<Arc<dyn Exposition>>) -> Response {
    let readiness = exposition.readiness();
    let ready = readiness.is_ready();
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, readiness.text()).into_response()
}
