//! Where comparisons of a link are asked for and told of. It outlives the link's attempts; what is found
//! is kept on a shelf, so that it outlives the process too.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::LinkName;
use crate::error::{Error, Kind, Result};
use crate::link::ports::Pending;
use crate::verify::report::{Order, Report, Summary, TableReport};

/// A report is kept this often while rows are read; what was found since is found once more.
const KEEP_EVERY: Duration = Duration::from_secs(1);

/// Where reports are kept, one per link.
pub trait Shelf: Send + Sync {
    /// The link's last report.
    fn load(&self, link: &LinkName) -> Result<Option<Report>>;

    /// Keeps a report in place of the one before, durably.
    fn keep<'a>(&'a self, link: &'a LinkName, report: &'a Report) -> Pending<'a, ()>;
}

/// Keeps nothing: a comparison begins anew with the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unkept;

impl Shelf for Unkept {
    fn load(&self, _: &LinkName) -> Result<Option<Report>> {
        Ok(None)
    }

    fn keep<'a>(&'a self, _: &'a LinkName, _: &'a Report) -> Pending<'a, ()> {
        Box::pin(async { Ok(()) })
    }
}

/// What is known of the link's last comparison.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// The comparison; `None` where there never was one.
    pub report: Option<Report>,
    /// It is under way: it goes on whenever the link streams.
    pub going: bool,
}

impl Known {
    /// What is shown of it.
    pub fn summary(&self) -> Option<Summary> {
        self.report.as_ref().map(|report| Summary {
            going: self.going,
            ended_us: report.ended_us,
            counts: report.total(),
        })
    }
}

/// The desk of one link.
pub struct Desk {
    link: LinkName,
    shelf: Arc<dyn Shelf>,
    known: watch::Sender<Known>,
    kept_at: Mutex<Option<Instant>>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("link", &self.link).finish_non_exhaustive()
    }
}

impl Desk {
    /// Of a link; what is on the shelf is known, and stands until somebody asks for it to go on.
    pub fn new(link: LinkName, shelf: Arc<dyn Shelf>) -> Desk {
        let report = shelf.load(&link).unwrap_or_else(|error| {
            tracing::warn!(%link, error = error.chain(), "the last comparison cannot be read");
            None
        });
        let (known, _) = watch::channel(Known { report, going: false });
        Desk { link, shelf, known, kept_at: Mutex::default() }
    }

    /// Begins a comparison; the one that is asked for again goes on.
    ///
    /// # Errors
    /// `Configuration` while another one is under way.
    pub fn begin(&self, order: Order, now_us: i64) -> Result<()> {
        let mut refused = false;
        self.known.send_if_modified(|known| {
            let same = known.report.as_ref().is_some_and(|report| report.order.id == order.id);
            refused = known.going && !same;
            if refused {
                return false;
            }
            if same {
                let rests = known.report.as_ref().is_some_and(|report| report.ended_us.is_none());
                return rests && !std::mem::replace(&mut known.going, true);
            }
            *known = Known { report: Some(Report::of(order, now_us)), going: true };
            true
        });
        if !refused {
            return Ok(());
        }
        let context = format!("{} is being compared already", self.link);
        Err(Error::new(Kind::Configuration, context)
            .hint(format!("watch it with `weir verify {} --resume`", self.link)))
    }

    /// Has the last comparison go on where it stands.
    ///
    /// # Errors
    /// `Configuration` where it is over, or there was none.
    pub fn resume(&self) -> Result<()> {
        let mut resumed = false;
        self.known.send_if_modified(|known| {
            resumed = known.report.as_ref().is_some_and(|report| report.ended_us.is_none());
            let begins = resumed && !known.going;
            known.going |= begins;
            begins
        });
        if resumed {
            return Ok(());
        }
        let context = format!("no comparison of {} waits to go on", self.link);
        Err(Error::new(Kind::Configuration, context).hint("leave --resume out to begin one"))
    }

    /// What is known now.
    pub fn known(&self) -> Known {
        self.known.borrow().clone()
    }

    /// The same as it changes.
    pub fn watch(&self) -> watch::Receiver<Known> {
        self.known.subscribe()
    }

    /// Differences per table that are told one by one.
    pub fn listed_max(&self) -> usize {
        self.known.borrow().report.as_ref().map_or(0, |report| report.order.listed_max)
    }

    /// Changes the report.
    pub fn update(&self, change: impl FnOnce(&mut Report)) {
        self.known.send_modify(|known| {
            if let Some(report) = &mut known.report {
                change(report);
            }
        });
    }

    /// Puts what is known of a table in its place.
    pub fn put(&self, at: usize, table: &TableReport) {
        self.update(|report| {
            if let Some(place) = report.tables.get_mut(at) {
                place.clone_from(table);
            }
        });
    }

    /// The comparison is over.
    ///
    /// # Errors
    /// As of [`Desk::keep`].
    pub async fn end(&self, now_us: i64) -> Result<()> {
        self.known.send_modify(|known| {
            known.going = false;
            known.report.iter_mut().for_each(|report| report.ended_us = Some(now_us));
        });
        self.keep(true).await
    }

    /// Keeps the report on the shelf: at once, or where a while has passed since it was kept last.
    ///
    /// # Errors
    /// As of the shelf.
    pub async fn keep(&self, at_once: bool) -> Result<()> {
        {
            let mut kept_at = self.kept_at.lock().unwrap_or_else(PoisonError::into_inner);
            if !at_once && kept_at.is_some_and(|at| at.elapsed() < KEEP_EVERY) {
                return Ok(());
            }
            *kept_at = Some(Instant::now());
        }
        match self.known().report {
            Some(report) => self.shelf.keep(&self.link, &report).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::plan::fixtures::link;

    /// A shelf in memory.
    #[derive(Default)]
    pub(crate) struct Drawer(Mutex<Option<Report>>);

    impl Shelf for Drawer {
        fn load(&self, _: &LinkName) -> Result<Option<Report>> {
            Ok(self.0.lock().expect("unbroken").clone())
        }

        fn keep<'a>(&'a self, _: &'a LinkName, report: &'a Report) -> Pending<'a, ()> {
            *self.0.lock().expect("unbroken") = Some(report.clone());
            Box::pin(async { Ok(()) })
        }
    }

    fn order(id: &str) -> Order {
        Order { id: id.into(), ..Order::default() }
    }

    /// Broken if a second comparison ended the first, a client that asks again began it anew, or one that
    /// was cut off by a crash went on unasked or could not go on.
    #[tokio::test(start_paused = true)]
    async fn one_comparison_at_a_time() {
        let shelf: Arc<dyn Shelf> = Arc::new(Drawer::default());
        let desk = Desk::new(link("pg", "my"), Arc::clone(&shelf));
        assert!(desk.resume().is_err(), "there is none");
        desk.begin(order("a"), 1).expect("begun");
        desk.begin(order("a"), 2).expect("the same");
        assert_eq!(desk.known().report.expect("a report").begun_us, 1);
        assert!(desk.begin(order("b"), 3).is_err(), "one is under way");
        desk.keep(true).await.expect("kept");
        let desk = Desk::new(link("pg", "my"), Arc::clone(&shelf));
        assert!(!desk.known().going, "nobody has asked");
        desk.begin(order("a"), 4).expect("the same");
        assert!(desk.known().going, "who asked before the crash asks again");
        let desk = Desk::new(link("pg", "my"), Arc::clone(&shelf));
        desk.resume().expect("goes on");
        assert!(desk.known().going);
        desk.end(9).await.expect("over");
        assert!(desk.resume().is_err(), "it is over");
        desk.begin(order("b"), 10).expect("another");
    }

    /// Broken if every chunk waited for the disk.
    #[tokio::test(start_paused = true)]
    async fn reports_are_kept_now_and_then() {
        let drawer = Arc::new(Drawer::default());
        let desk = Desk::new(link("pg", "my"), Arc::clone(&drawer) as Arc<dyn Shelf>);
        desk.begin(order("a"), 1).expect("begun");
        desk.keep(false).await.expect("kept");
        desk.update(|report| report.trouble = Some("later".into()));
        desk.keep(false).await.expect("not yet");
        let trouble =
            || drawer.0.lock().expect("unbroken").as_ref().and_then(|one| one.trouble.clone());
        assert_eq!(trouble(), None);
        tokio::time::advance(KEEP_EVERY).await;
        desk.keep(false).await.expect("kept");
        assert_eq!(trouble(), Some("later".into()));
    }
}
