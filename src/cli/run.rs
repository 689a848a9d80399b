//! `weir run`: replicates until stopped; holds the state directory, serves `/metrics` and the
//! control socket meanwhile. Signals are caught before anything else, and everything that can be
//! taken by another process is taken before any link starts.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::cli::args::{Global, RunArgs};
use crate::cli::context::{links, load};
use crate::cli::control;
use crate::cli::exit;
use crate::cli::notify::Notify;
use crate::cli::output::complain;
use crate::cli::reload::{Asked, Prepared, Reloader, retire, show};
use crate::cli::responder::Responder;
use crate::cli::signals::Signals;
use crate::cli::spec::{clear_spool, spec};
use crate::cli::telling::Telling;
use crate::config::{Config, LinkName};
use crate::error::{Kind, Result};
use crate::link::ledger::Ledger;
use crate::link::space::{Room, Space};
use crate::link::status::LinkState;
use crate::link::supervisor::{LinkHandle, Links, Shared, Supervisor};
use crate::observe::copies;
use crate::observe::http;
use crate::observe::metrics::Metrics;
use crate::observe::space;
use crate::state::{Comparisons, Store};

/// How often the links are looked at, to end when none can go on.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long those who are being answered in the end may take to read it.
const ANSWERS_MAX: Duration = Duration::from_secs(2);

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &RunArgs) -> Result<ExitCode> {
    run_until(global, args, CancellationToken::new()).await
}

/// The same, until `enough` is cancelled: as if it were stopped by a signal then.
pub(super) async fn run_until(
    global: &Global,
    args: &RunArgs,
    enough: CancellationToken,
) -> Result<ExitCode> {
    let config = Arc::new(load(global)?);
    let names = links(&config, &[])?;
    let (mut signals, hangups) = (Signals::listen()?, Signals::hangup()?);
    let store = tokio::select! {
        biased;
        signal = signals.next() => return Ok(stopped(signal, args)),
        store = Store::open(&config.state_dir) => Arc::new(store?),
    };
    let ends = Endings { signals, hangups, enough };
    for link in store.links().iter().filter(|link| !names.contains(link)) {
        retire(&store, link).await;
    }
    let result = replicate(global, &config, &names, &store, ends, args).await;
    store.close().await;
    result
}

/// What ends a run, and what has it look at its files again.
struct Endings {
    signals: Signals,
    hangups: Signals,
    /// Whoever runs this has what it needs.
    enough: CancellationToken,
}

async fn replicate(
    global: &Global,
    config: &Arc<Config>,
    names: &[LinkName],
    store: &Arc<Store>,
    mut endings: Endings,
    args: &RunArgs,
) -> Result<ExitCode> {
    clear_spool(&config.state_dir);
    let installation = store.installation();
    let specs =
        names.iter().map(|link| spec(config, link, &installation)).collect::<Result<_>>()?;
    let metrics = Arc::new(Metrics::new(config.table_series));
    let (room, space) = measured(config, &metrics).await;
    let shared = Shared {
        ledger: Arc::clone(store) as Arc<dyn Ledger>,
        observer: Arc::clone(&metrics) as _,
        shelf: Arc::new(Comparisons::of(&config.state_dir)),
        space: space.clone(),
        until_caught_up: args.until_caught_up,
    };
    let stop = CancellationToken::new();
    let mut services = JoinSet::new();
    services.spawn(space::watch(config.state_dir.clone(), room.clone(), stop.clone()));
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
    show(&metrics, &links.borrow());
    services.spawn(copies::watch(links.clone(), Arc::clone(&metrics), stop.clone()));
    let (telling, alerts) = Telling::start(config, links.clone(), space, &metrics, stop.clone());
    let (reloads, asked) = mpsc::channel(1);
    let responder = Responder { links: links.clone(), store: Arc::clone(store), reloads };
    let mut reloader = Reloader {
        global: global.clone(),
        config: Arc::clone(config),
        store: Arc::clone(store),
        metrics,
        room,
        alerts,
        until_caught_up: args.until_caught_up,
    };
    services.spawn(socket.serve(Arc::new(responder), stop.clone()));
    let mut notify = Notify::from_environment();
    notify.ready();
    let signal =
        until_ended(&mut supervisor, &mut reloader, asked, &mut endings, &mut notify).await;
    stop.cancel();
    if signal.is_some() {
        telling.hurry();
    }
    let answered = async { while services.join_next().await.is_some() {} };
    if tokio::time::timeout(ANSWERS_MAX, answered).await.is_err() {
        services.shutdown().await;
    }
    telling.ended(&mut endings.signals).await;
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

/// The free space of the state directory, measured before anything is written there.
async fn measured(config: &Config, metrics: &Metrics) -> (watch::Sender<Room>, Space) {
    let (room, space) = Space::new();
    room.send_modify(|room| room.min = config.state_free_min);
    space::measure(&config.state_dir, &room).await;
    metrics.watch_space(space.clone());
    (room, space)
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
    reloader: &mut Reloader,
    mut reloads: mpsc::Receiver<Asked>,
    endings: &mut Endings,
    notify: &mut Notify,
) -> Option<&'static str> {
    let mut look = tokio::time::interval(LOOK_EVERY);
    let (shutdown, links) = (supervisor.shutdown(), supervisor.links());
    let mut stopping = None;
    let mut preparing: Option<BoxFuture<'static, Prepared>> = None;
    let Endings { signals, hangups, enough } = endings;
    loop {
        let may_reload = preparing.is_none() && stopping.is_none();
        tokio::select! {
            biased;
            () = supervisor.finished() => return stopping,
            signal = signals.next() => {
                tracing::info!(signal, "stopping: what is queued is applied first");
                notify.stopping();
                shutdown.start();
                stopping = Some(signal);
                preparing = None;
            }
            () = enough.cancelled(), if stopping.is_none() => {
                notify.stopping();
                shutdown.start();
                stopping = Some("its own");
                preparing = None;
            }
            _ = hangups.next(), if may_reload => {
                let asked = Asked { accept: false, answer: None };
                preparing = Some(reloader.prepare(asked, &links.borrow()));
            }
            Some(asked) = reloads.recv(), if may_reload => {
                preparing = Some(reloader.prepare(asked, &links.borrow()));
            }
            prepared = prepared(&mut preparing) => {
                preparing = None;
                reloader.apply(supervisor, prepared).await;
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

/// What is being prepared, once it is; never where nothing is.
async fn prepared(preparing: &mut Option<BoxFuture<'static, Prepared>>) -> Prepared {
    match preparing {
        Some(preparing) => preparing.await,
        None => std::future::pending().await,
    }
}

/// Halted for a reason that takes a change elsewhere and a new start.
fn is_hopeless(handle: &LinkHandle) -> bool {
    let status = handle.status();
    let decidable =
        [Kind::SchemaChanged, Kind::TableGap, Kind::DiskLow, Kind::TooManyDeadLetters].map(Some);
    status.state == LinkState::Halted && !decidable.contains(&status.error_kind())
}

/// The exit code; what halted or is paused, and that rows are set aside, is said once more, for a person.
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
        } else {
            for copy in status.paused_copies() {
                complain!("weir: {link}: the copy of {} is paused", copy.table);
                complain!("  hint: `weir snapshot {link} {} --resume`", copy.table);
            }
            if status.set_aside.rows > 0 {
                complain!("weir: {link} has {} set aside", status.set_aside.count());
                complain!("  hint: {}", status.set_aside.hint(link));
            }
        }
    }
    if paused { exit::HALTED.into() } else { exit::after(kinds, exit::HALTED).into() }
}
