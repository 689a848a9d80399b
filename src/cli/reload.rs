//! How the running weir takes up changed files: it looks at everything that they would change, and
//! changes all of it or nothing.
//!
//! Looking takes time and disturbs no link. Then each changed link drains and goes on with its new
//! configuration, new ones start, and those that are no longer configured end; a link of which
//! nothing differs is not touched, unless it stands still.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{oneshot, watch};

use crate::cli::args::Global;
use crate::cli::context::load;
use crate::cli::control::Answer;
use crate::cli::hint;
use crate::cli::prospect::{Known, Prospect, Standing, prospects};
use crate::cli::spec::spec;
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::ledger::Ledger;
use crate::link::space::Room;
use crate::link::status::LinkState;
use crate::link::supervisor::{LinkHandle, LinkSpec, Supervisor};
use crate::observe::alert::watch::Settings;
use crate::observe::metrics::{Metrics, Watched};
use crate::plan::Verdict;
use crate::state::Store;

/// How long a look at all servers of all links may take; less than who asks waits for the answer.
const LOOK_MAX: Duration = Duration::from_secs(540);
/// How long a link may take to begin anew before who asked is told.
const SETTLE_MAX: Duration = Duration::from_secs(30);

/// A reload that was asked for.
pub(super) struct Asked {
    /// Changes that need a decision are decided.
    pub(super) accept: bool,
    /// Who is told; nobody for a signal.
    pub(super) answer: Option<oneshot::Sender<Answer>>,
}

/// What is to be done about a reload.
pub(super) struct Prepared {
    asked: Asked,
    outcome: Result<Change>,
}

struct Change {
    config: Arc<Config>,
    prospects: Vec<Prospect>,
    /// Why it is not made, and what to do.
    refusal: Option<(String, String)>,
}

/// The running configuration, and what it takes to change it.
pub(super) struct Reloader {
    pub(super) global: Global,
    pub(super) config: Arc<Config>,
    pub(super) store: Arc<Store>,
    pub(super) metrics: Arc<Metrics>,
    /// Free space of the state directory, and how much is wanted.
    pub(super) room: watch::Sender<Room>,
    /// Whom to tell of what needs a person.
    pub(super) alerts: watch::Sender<Arc<Settings>>,
    pub(super) until_caught_up: bool,
}

impl Reloader {
    /// Loads the files and looks at what they would change; changes nothing.
    pub(super) fn prepare(
        &self,
        asked: Asked,
        links: &[LinkHandle],
    ) -> BoxFuture<'static, Prepared> {
        let (global, running) = (self.global.clone(), Arc::clone(&self.config));
        let known = links
            .iter()
            .filter_map(|handle| Some((handle.link.clone(), self.store.load(&handle.link)?)));
        let known: Known = known.filter(|(_, known)| known.progress.is_some()).collect();
        let ends_by_itself = self.until_caught_up;
        Box::pin(async move {
            let outcome = match ends_by_itself {
                true => Err(Error::new(Kind::Configuration, "this run ends once it has caught up")
                    .hint("start `weir run`: it reads the files as they are then")),
                false => {
                    let look = look(&global, &running, &known, asked.accept);
                    tokio::time::timeout(LOOK_MAX, look).await.unwrap_or_else(|_| {
                        let seconds = LOOK_MAX.as_secs();
                        let context = format!("a look at the servers took more than {seconds} s");
                        Err(Error::new(Kind::Timeout, context))
                    })
                }
            };
            Prepared { asked, outcome }
        })
    }

    /// Makes the change, if nothing stands against it, and tells who asked.
    pub(super) async fn apply(&mut self, supervisor: &mut Supervisor, prepared: Prepared) {
        let Prepared { asked, outcome } = prepared;
        let mut changed = Vec::new();
        let answer = match outcome {
            Err(error) => refused(&error),
            Ok(Change { prospects, refusal: Some((why, hint)), .. }) => {
                tracing::warn!(why, hint, "the changed files are not taken up");
                Answer::Ok(serde_json::json!(
                    { "applied": false, "why": why, "hint": hint, "links": prospects }
                ))
            }
            Ok(Change { config, prospects, refusal: None }) => {
                match self.change(supervisor, config, &prospects).await {
                    Ok(touched) => {
                        changed = touched;
                        tracing::info!("the changed files are what runs");
                        Answer::Ok(serde_json::json!({ "applied": true, "links": prospects }))
                    }
                    Err(error) => refused(&error),
                }
            }
        };
        if let Some(told) = asked.answer {
            tokio::spawn(async move {
                let standing = settle(&changed).await;
                // Whoever asked may have gone.
                let _gone = told.send(with_standing(answer, standing));
            });
        }
    }

    /// Returns the links that were changed.
    async fn change(
        &mut self,
        supervisor: &mut Supervisor,
        config: Arc<Config>,
        prospects: &[Prospect],
    ) -> Result<Vec<LinkHandle>> {
        let installation = self.store.installation();
        let mut specs: Vec<(LinkSpec, &Prospect)> = Vec::new();
        for prospect in prospects.iter().filter(|one| one.standing != Standing::Removed) {
            let Some(link) = prospect.name() else { continue };
            specs.push((spec(&config, link, &installation)?, prospect));
        }
        // From here on nothing is refused.
        self.config = Arc::clone(&config);
        self.room.send_modify(|room| room.min = config.state_free_min);
        self.alerts.send_replace(Settings::of(&config));
        let handles = supervisor.links().borrow().clone();
        let of = |link: &LinkName| handles.iter().find(|handle| handle.link == *link);
        let mut touched = Vec::new();
        // A table that changes its owner leaves the one link before it joins the other.
        let (mut leaving, mut joining) = (Vec::new(), Vec::new());
        let mut new = Vec::new();
        for (spec, prospect) in specs {
            match of(&spec.context.link) {
                Some(handle) if is_touched(handle, prospect) => {
                    handle.release();
                    touched.push(handle.clone());
                    let list = if prospect.lets_go() { &mut leaving } else { &mut joining };
                    list.push(handle.configure(spec, prospect.to_decide()));
                }
                Some(_) => {}
                None => new.push(spec),
            }
        }
        configured(leaving).await;
        for prospect in prospects.iter().filter(|one| one.standing == Standing::Removed) {
            let Some(link) = prospect.name() else { continue };
            supervisor.remove(link).await;
            retire(&self.store, link).await;
        }
        configured(joining).await;
        new.into_iter().for_each(|spec| supervisor.add(spec));
        let links = supervisor.links().borrow().clone();
        show(&self.metrics, &links);
        touched.extend(links.iter().filter(|link| of(&link.link).is_none()).cloned());
        Ok(touched)
    }
}

/// Waits until these links have drained and go on anew.
async fn configured(links: Vec<impl Future<Output = Result<()>>>) {
    for result in join_all(links).await {
        if let Err(error) = result {
            tracing::error!(error = error.chain(), "a link could not be configured anew");
        }
    }
}

/// Waits until these links have begun anew; returns those that stand still instead.
async fn settle(links: &[LinkHandle]) -> Vec<String> {
    let settled = links.iter().map(async |link| {
        let mut status = link.watch();
        let begun = status.wait_for(|status| status.state != LinkState::Starting);
        tokio::time::timeout(SETTLE_MAX, begun).await.ok();
        let state = link.status().state;
        (state == LinkState::Halted).then(|| link.link.to_string())
    });
    join_all(settled).await.into_iter().flatten().collect()
}

fn with_standing(answer: Answer, halted: Vec<String>) -> Answer {
    match answer {
        Answer::Ok(mut value) => {
            value["halted"] = halted.into();
            Answer::Ok(value)
        }
        failed => failed,
    }
}

/// Shows these links, and no others, in the metrics.
pub(super) fn show(metrics: &Metrics, links: &[LinkHandle]) {
    let watched =
        |handle: &LinkHandle| Watched { link: handle.link.clone(), status: handle.watch() };
    metrics.watch(links.iter().map(watched).collect());
}

/// Remembers that a link is no longer configured.
pub(super) async fn retire(store: &Store, link: &LinkName) {
    let Some(mut checkpoint) = store.load(link).filter(|known| !known.retired) else { return };
    tracing::warn!(
        %link,
        hint = format!("`weir teardown {link} --apply` with the files as they were removes what it left"),
        "the link is no longer configured; its slot, if it has one, and its witness stay"
    );
    checkpoint.retired = true;
    if let Err(error) = store.record(link, checkpoint).await {
        tracing::warn!(%link, error = error.chain(), "that is not recorded");
    }
}

/// A link that stands still may have been configured by files that were never what ran.
fn is_touched(handle: &LinkHandle, prospect: &Prospect) -> bool {
    prospect.standing.is_changed() || handle.status().state != LinkState::Running
}

async fn look(global: &Global, running: &Config, known: &Known, accept: bool) -> Result<Change> {
    let config = Arc::new(load(global)?);
    fixed(running, &config)?;
    let prospects = prospects(&config, known, true).await;
    let problems = prospects.iter().map(Prospect::obstacles).sum::<usize>();
    let worst = prospects.iter().map(Prospect::verdict).max().unwrap_or(Verdict::FromNow);
    let refusal = match worst {
        _ if problems > 0 => {
            let count = if problems == 1 { "a problem" } else { "problems" };
            let verb = if problems == 1 { "stands" } else { "stand" };
            Some((format!("{count} {verb} against it"), "see above; `weir check`"))
        }
        Verdict::Refused => Some((
            "a change is not possible while weir runs".to_owned(),
            "take it back; or stop weir and start it with these files: the link halts; copy the table \
             again then, and `weir resume LINK --schema-reviewed`",
        )),
        Verdict::Decision if !accept => Some((
            "changes need a decision".to_owned(),
            "`weir pause` their links, do what they say, `weir reload --accept`, and `weir resume` \
             them; or take them back",
        )),
        Verdict::Decision | Verdict::FromNow => None,
    };
    let refusal = refusal.map(|(why, hint)| (why, hint.to_owned()));
    Ok(Change { config, prospects, refusal })
}

/// What a process cannot change of itself.
fn fixed(running: &Config, new: &Config) -> Result<()> {
    let listen = |config: &Config| config.http.as_ref().map(|http| http.listen);
    let changed: Vec<&str> = [
        ("name", running.name != new.name),
        ("state_dir", running.state_dir != new.state_dir),
        ("http.listen", listen(running) != listen(new)),
        ("metrics.tables", running.table_series != new.table_series),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let context = format!("a changed {} cannot be reloaded", changed.join(", "));
    Err(Error::new(Kind::Configuration, context).hint("stop weir and start it again"))
}

fn refused(error: &Error) -> Answer {
    let hint = hint(error);
    tracing::warn!(error = error.chain(), hint, "the changed files are not taken up");
    Answer::failed(
        error.kind(),
        format!("nothing is changed, weir goes on as before: {}", error.chain()),
        hint,
    )
}
