//! Looks at the links and tells what is to be told, beside them: a task of its own that no link waits
//! for. What is open is remembered as long as the process runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::channel::{Channel, Failure};
use super::judge::Judge;
use super::message::Message;
use super::sender::Lane;
use super::{Alert, AlertKind, AlertState};
use crate::config::{Alerts, Config, LinkName};
use crate::link::space::Space;
use crate::link::status::{LinkStatus, now_us};
use crate::link::supervisor::Links;
use crate::observe::metrics::AlertCounts;

/// How often the links are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the last messages may take when weir ends by itself, because every link has halted: nobody
/// may hear of it otherwise.
const LAST_MAX: Duration = Duration::from_secs(10);
/// The same when somebody waits for weir to end.
const LAST_HURRIED_MAX: Duration = Duration::from_millis(1_500);

/// What the configuration says of alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `name` of the configuration.
    pub installation: String,
    /// `[alerts]`.
    pub alerts: Option<Alerts>,
}

impl Settings {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Arc<Settings> {
        Arc::new(Settings { installation: config.name.clone(), alerts: config.alerts.clone() })
    }
}

/// What is looked at.
#[derive(Debug)]
pub struct Watch {
    /// The links.
    pub links: Links,
    /// The state directory's disk.
    pub space: Space,
    /// Whom to tell, and when.
    pub settings: watch::Receiver<Arc<Settings>>,
    /// Who counts.
    pub counts: AlertCounts,
}

impl Watch {
    /// Looks until `stop`, once more then, and ends when everything is told or given up, in bounded time;
    /// from `hurry` on, a short one.
    pub async fn run(self, stop: CancellationToken, hurry: CancellationToken) {
        let lanes = Channel::ALL.map(|channel| Arc::new(Lane::new(channel, self.counts.clone())));
        let (last, mut senders) = (CancellationToken::new(), JoinSet::new());
        for lane in &lanes {
            senders.spawn(Arc::clone(lane).run(self.settings.clone(), last.clone()));
        }
        let mut judge = Judge::default();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let ends = tokio::select! {
                biased;
                () = stop.cancelled() => true,
                _ = look.tick() => false,
            };
            self.look(&mut judge, &lanes);
            if ends {
                break;
            }
        }
        last.cancel();
        let overdue = async {
            let hurried = tokio::time::timeout(LAST_MAX, hurry.cancelled()).await;
            if hurried.is_ok() {
                tokio::time::sleep(LAST_HURRIED_MAX).await;
            }
        };
        tokio::select! {
            () = async { while senders.join_next().await.is_some() {} } => {}
            () = overdue => senders.shutdown().await,
        }
        lanes.iter().for_each(|lane| lane.give_up());
    }

    fn look(&self, judge: &mut Judge, lanes: &[Arc<Lane>]) {
        let settings = Arc::clone(&self.settings.borrow());
        let Some(alerts) = &settings.alerts else {
            *judge = Judge::default();
            return;
        };
        let links = Arc::clone(&self.links.borrow());
        let links: Vec<(LinkName, LinkStatus)> =
            links.iter().map(|handle| (handle.link.clone(), handle.status())).collect();
        let (room, now) = (self.space.now(), now_us());
        for alert in judge.look(&links, room, &alerts.bounds, alerts.min_interval, now) {
            if alert.state == AlertState::Open {
                self.counts.raised(alert.key.0.name());
            }
            for lane in lanes.iter().filter(|lane| lane.channel.is_used(alerts)) {
                lane.push(alert.clone());
            }
        }
    }
}

/// What came of a test of one channel.
#[derive(Debug)]
pub struct Tested {
    /// Which.
    pub channel: Channel,
    /// What came back.
    pub outcome: Result<String, Failure>,
    /// How long it took.
    pub elapsed: Duration,
}

/// Sends a test alert by each channel that is configured, one after the other.
pub async fn test(settings: &Settings) -> Vec<Tested> {
    let Some(alerts) = &settings.alerts else { return Vec::new() };
    let mut tested = Vec::new();
    for channel in Channel::ALL.into_iter().filter(|channel| channel.is_used(alerts)) {
        let now = now_us();
        let alert = Alert {
            key: (AlertKind::Test, None),
            state: AlertState::Open,
            since_us: now,
            until_us: None,
            count: 1,
            text: "this is a test: nothing is wrong".to_owned(),
            hint: "nothing is to be done".to_owned(),
            figures: Vec::new(),
        };
        let message = Message {
            installation: settings.installation.clone(),
            alerts: vec![alert],
            dropped: 0,
            sent_us: now,
        };
        let started = Instant::now();
        let outcome = channel.deliver(alerts, &message).await;
        tested.push(Tested { channel, outcome, elapsed: started.elapsed() });
    }
    tested
}
