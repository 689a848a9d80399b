//! `weir run`: replicates until stopped; holds the state directory, serves `/metrics` and the
//! control socket meanwhile. Signals are caught before anything else, and everything that can be
//! taken by another process is taken before any link starts.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{Global, RunArgs};
use crate::cli::check::preflight;
use crate::cli::context::{Ends, links, load, refused, settings};
use crate::cli::control;
use crate::cli::exit;
use crate::cli::notify::Notify;
use crate::cli::output::complain;
use crate::cli::responder::Responder;
use crate::cli::signals::Signals;
use crate::config::{ApplyOptions, Config, LinkName, Streaming};
use crate::error::{Kind, Result};
use crate::link::ends::RoomEnds;
use crate::link::ledger::Ledger;
use crate::link::ports::SpoolPlace;
use crate::link::status::LinkState;
use crate::link::supervisor::{LinkHandle, LinkSpec, Links, Shared, Supervisor};
use crate::observe::http;
use crate::observe::metrics::{Metrics, Watched};
use crate::plan::LinkPlan;
use crate::state::Store;

/// How often the links are looked at, to end when none can go on.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long those who are being answered in the end may take to read it.
const ANSWERS_MAX: Duration = Duration::from_secs(2);

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &RunArgs) -> Result<ExitCode> {
    let config = Arc::new(load(global)?);
    let names = links(&config, &[])?;
    let mut signals = Signals::listen()?;
    let store = tokio::select! {
        biased;
        signal = signals.next() => return Ok(stopped(signal, args)),
        store = Store::open(&config.state_dir) => Arc::new(store?),
    };
    let result = replicate(&config, &names, &store, signals, args).await;
    store.close().await;
    result
}

async fn replicate(
    config: &Arc<Config>,
    names: &[LinkName],
    store: &Arc<Store>,
    signals: Signals,
    args: &RunArgs,
) -> Result<ExitCode> {
    clear_spool(&config.state_dir);
    let installation = store.installation();
    let specs =
        names.iter().map(|link| spec(config, link, &installation)).collect::<Result<_>>()?;
    let metrics = Arc::new(Metrics::new(config.table_series));
    let shared = Shared {
        ledger: Arc::clone(store) as Arc<dyn Ledger>,
        observer: Arc::clone(&metrics) as _,
        until_caught_up: args.until_caught_up,
    };
    let stop = CancellationToken::new();
    let mut services = JoinSet::new();
    // Before any link starts: a port that is taken must not leave a slot behind.
    serve_http(config, &metrics, &stop, &mut services).await?;
    let socket = control::bind(&config.state_dir)?;
    let mut supervisor = Supervisor::start(specs, shared);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        name = config.name,
        state_dir = %config.state_dir.display(),
        links = names.len(),
        "weir is up"
    );
    let links = supervisor.links();
    let watched =
        |handle: &LinkHandle| Watched { link: handle.link.clone(), status: handle.watch() };
    metrics.watch(links.borrow().iter().map(watched).collect());
    let responder = Arc::new(Responder { links: links.clone() });
    services.spawn(socket.serve(responder, stop.clone()));
    let mut notify = Notify::from_environment();
    notify.ready();
    let signal = until_ended(&mut supervisor, signals, &mut notify).await;
    stop.cancel();
    let answered = async { while services.join_next().await.is_some() {} };
    if tokio::time::timeout(ANSWERS_MAX, answered).await.is_err() {
        services.shutdown().await;
    }
    supervisor.shutdown().start();
    supervisor.finished().await;
    Ok(signal.map_or_else(|| verdict(&links), |signal| stopped(signal, args)))
}

/// The exit code after a signal: good once everything is drained, also with a link that was halted
/// before; but who waited for the end of the log has not seen it.
fn stopped(signal: &str, args: &RunArgs) -> ExitCode {
    if !args.until_caught_up {
        return ExitCode::from(exit::GOOD);
    }
    complain!("weir: stopped by {signal} before every link had caught up");
    complain!("  hint: run it again; each link goes on from where it was");
    ExitCode::from(exit::FAILED)
}

/// Starts the http endpoint, if there is one.
async fn serve_http(
    config: &Config,
    metrics: &Arc<Metrics>,
    stop: &CancellationToken,
    services: &mut JoinSet<()>,
) -> Result<()> {
    let Some(http) = &config.http else { return Ok(()) };
    let exposition = Arc::clone(metrics) as Arc<dyn http::Exposition>;
    let server = http::serve(http.listen, exposition, stop.clone()).await?;
    services.spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(error = error.chain(), "the http endpoint is gone");
        }
    });
    Ok(())
}

/// Returns when every link has ended, or on a signal (its name) after the drain, or when every link
/// is halted and none of them waits for a decision that `weir resume` can bring.
async fn until_ended(
    supervisor: &mut Supervisor,
    mut signals: Signals,
    notify: &mut Notify,
) -> Option<&'static str> {
    let mut look = tokio::time::interval(LOOK_EVERY);
    let (shutdown, links) = (supervisor.shutdown(), supervisor.links());
    let mut stopping = None;
    loop {
        tokio::select! {
            biased;
            () = supervisor.finished() => return stopping,
            signal = signals.next() => {
                tracing::info!(signal, "stopping: what is queued is applied first");
                notify.stopping();
                shutdown.start();
                stopping = Some(signal);
            }
            _ = look.tick() => {
                let handles = links.borrow().clone();
                if stopping.is_none() {
                    notify.links(&handles);
                }
                if handles.iter().all(is_hopeless) {
                    tracing::error!("every link has halted; weir ends until a person has acted");
                    return stopping;
                }
            }
        }
    }
}

/// Halted for a reason that takes a change elsewhere and a new start.
fn is_hopeless(handle: &LinkHandle) -> bool {
    let status = handle.status();
    let decidable = [Some(Kind::SchemaChanged), Some(Kind::TableGap)];
    status.state == LinkState::Halted && !decidable.contains(&status.error_kind())
}

/// The exit code; what halted or is paused is said once more, for a person.
fn verdict(links: &Links) -> ExitCode {
    let mut kinds = Vec::new();
    let mut paused = false;
    for handle in links.borrow().iter() {
        let status = handle.status();
        let link = &handle.link;
        if status.state == LinkState::Paused {
            complain!("weir: link {link} is paused, and has not caught up");
            complain!("  hint: `weir resume {link}`, then run it again");
            paused = true;
        } else if let (LinkState::Halted, Some(trouble)) = (status.state, &status.error) {
            complain!("weir: link {link} is halted: {}", trouble.text);
            complain!("  hint: {}", trouble.hint);
            kinds.push(trouble.kind);
        }
    }
    if paused { exit::HALTED.into() } else { exit::after(kinds, exit::HALTED).into() }
}

/// The folder of what is kept of open transactions, below the state directory.
const SPOOL: &str = "spool";

/// Removes what a weir that was killed left of open transactions: it comes again.
fn clear_spool(state_dir: &Path) {
    let path = state_dir.join(SPOOL);
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "an old spool cannot be removed");
        }
        _ => {}
    }
}

/// Where the link's open transactions are kept, if they are asked for.
fn spool_place(config: &Config, link: &LinkName, options: &ApplyOptions) -> Option<SpoolPlace> {
    (options.streaming == Streaming::On).then(|| SpoolPlace {
        directory: config.state_dir.join(SPOOL).join(link.slot_suffix()),
        bytes_max: options.spool_bytes_max as u64,
    })
}

/// One link as the supervisor takes it.
fn spec(config: &Arc<Config>, link: &LinkName, installation: &str) -> Result<LinkSpec> {
    let ends = Ends::of(config, link, installation)?;
    let options = config.options(link).clone();
    let settings = settings(config, link);
    let context = ends.context.clone();
    let spool = spool_place(config, link, &options);
    let (config, link, seed) = (Arc::clone(config), link.clone(), installation.to_owned());
    let told = Arc::new(AtomicBool::new(false));
    let ends = RoomEnds {
        context: context.clone(),
        source_room: ends.source_room(),
        source: ends.source.clone(),
        target_room: ends.target_room(),
        target: ends.target.clone(),
        spool,
        lock_timeout: options.lock_timeout,
        replan: Box::new(move || {
            let (config, link, seed) = (Arc::clone(&config), link.clone(), seed.clone());
            let told = Arc::clone(&told);
            Box::pin(async move { replan(&config, &link, &seed, &told).await.map(Arc::new) })
        }),
    };
    Ok(LinkSpec { context, options, ends: Arc::new(ends), settings })
}

/// Reads both catalogs, compiles the plan and looks at both servers again. Warnings are logged once
/// per process.
async fn replan(
    config: &Config,
    link: &LinkName,
    seed: &str,
    told: &AtomicBool,
) -> Result<LinkPlan> {
    let ends = Ends::of(config, link, seed)?;
    let catalogs = ends.catalogs().await?;
    let plan = ends.plan(&catalogs).map_err(|findings| refused(link, &findings))?;
    let findings = preflight(&ends, &plan).await;
    if findings.iter().any(|finding| finding.fatal) {
        return Err(refused(link, &findings));
    }
    if !told.swap(true, Ordering::Relaxed) {
        for finding in &findings {
            tracing::warn!(%link, subject = finding.subject, hint = finding.hint, "{}", finding.message);
        }
    }
    Ok(plan)
}
