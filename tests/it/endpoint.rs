//! An HTTP endpoint as alerts meet them: it answers what it is told to, late, or not at all, and keeps
//! what it was sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What it does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Answers with this status.
    Answers(u16),
    /// Takes it after so many seconds.
    TakesLate(u64),
    /// Reads it, and says nothing.
    Silent,
}

/// What it was sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// First line and headers.
    pub head: String,
    /// The body.
    pub body: Value,
}

/// The endpoint; gone with the test.
#[derive(Clone)]
pub struct Endpoint {
    /// Where it listens.
    pub port: u16,
    mood: Arc<Mutex<Mood>>,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Endpoint {
    /// Listens on a free port, with TLS if there is one.
    pub async fn start(mood: Mood, tls: Option<TlsAcceptor>) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("address").port();
        let endpoint = Endpoint { port, mood: Arc::new(Mutex::new(mood)), seen: Arc::default() };
        let served = endpoint.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (served, tls) = (served.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => served.serve(stream).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => served.serve(stream).await,
                            Err(_) => None,
                        },
                    }
                });
            }
        });
        endpoint
    }

    /// It does otherwise from now on.
    pub fn set(&self, mood: Mood) {
        *self.mood.lock().expect("lock") = mood;
    }

    /// Everything that it was sent.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("lock").clone()
    }

    /// Kind, state and the whole of every alert that it was sent.
    pub fn alerts(&self) -> Vec<(String, String, Value)> {
        let bodies = self.seen().into_iter().map(|request| request.body);
        let alerts = bodies.flat_map(|body| body["alerts"].as_array().cloned().unwrap_or_default());
        let word = |alert: &Value, key: &str| alert[key].as_str().unwrap_or_default().to_owned();
        alerts.map(|alert| (word(&alert, "kind"), word(&alert, "state"), alert)).collect()
    }

    /// How often it was told this.
    pub fn told(&self, kind: &str, state: &str) -> usize {
        let alerts = self.alerts();
        alerts.iter().filter(|alert| alert.0 == kind && alert.1 == state).count()
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        let mut bytes = Vec::new();
        let (head, length) = loop {
            stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                let lower = head.to_lowercase();
                let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
                break (head.to_owned(), length?.parse::<usize>().ok()?);
            }
        };
        while bytes.len() < head.len() + 4 + length {
            stream.read_buf(&mut bytes).await.ok().filter(|read| *read > 0)?;
        }
        let body = serde_json::from_slice(bytes.get(head.len() + 4..)?).ok()?;
        let mood = *self.mood.lock().expect("lock");
        self.seen.lock().expect("lock").push(Request { head, body });
        match mood {
            Mood::Silent => tokio::time::sleep(Duration::from_secs(600)).await,
            Mood::Answers(_) | Mood::TakesLate(_) => {
                let mut status = 200;
                match mood {
                    Mood::Answers(other) => status = other,
                    Mood::TakesLate(seconds) => {
                        tokio::time::sleep(Duration::from_secs(seconds)).await
                    }
                    Mood::Silent => {}
                }
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).await.ok()?;
                stream.shutdown().await.ok()?;
            }
        }
        Some(())
    }
}
