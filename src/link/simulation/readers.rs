//! Copies as readers see them, who are played by hand.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::ends::FakeEnds;
use super::tables::plan;
use super::world::{World, lsn};
use crate::error::{Error, Kind};
use crate::link::copying::{Copying, Reader};
use crate::link::copyist::{Brought, Checked, Errand, Return, What};
use crate::link::ports::StoredCopy;
use crate::snapshot::progress::{Progress, Stage, Stretch};

/// Rows of the piece that is asked for.
fn rows_of(errand: &Errand) -> usize {
    match &errand.what {
        What::Read(reach) | What::Check { reach, .. } => reach.rows_max,
        What::Divide(_) | What::DivideTarget => panic!("a piece, not {errand:?}"),
    }
}

/// A copy of the first table that is at `stage`, one reader of it, and where that gives back.
fn copying(stage: Stage) -> (Copying, mpsc::Receiver<Errand>, mpsc::Sender<Return>) {
    let plan = plan(false, false, false);
    let progress = Progress {
        stage,
        walk: Some("w".to_owned()),
        stretches: vec![Stretch::default()],
        ..Progress::default()
    };
    let stored = StoredCopy {
        table: plan.tables[0].target.name.to_string(),
        progress: Some(progress.to_text().expect("a text")),
        asked: None,
    };
    let (errands, errand) = mpsc::channel(1);
    let (give, returns) = mpsc::channel(1);
    let readers = vec![Reader { errands, busy: false }];
    let ends = Arc::new(FakeEnds(World::shared(8)));
    let waits = watch::channel(0).1;
    let copying = Copying::new(plan, ends, &[stored], readers, returns, None, waits);
    (copying.expect("a copy"), errand, give)
}

/// Broken if a piece that took too long to be read were asked for again at the same size, for ever.
#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_asked_for_in_smaller_pieces() {
    for stage in [Stage::Copying, Stage::Checking] {
        let (mut copying, mut errands, give) = copying(stage);
        let mut sizes = Vec::new();
        for _ in 0..4 {
            sleep(Duration::from_secs(60)).await;
            copying.send_out(&lsn(1), 0, Duration::ZERO).expect("sent out");
            let errand = errands.try_recv().expect("an errand");
            sizes.push(rows_of(&errand));
            let late = Error::new(Kind::Timeout, "too long");
            let (id, took) = (errand.id, Duration::from_secs(300));
            give.send(Return { reader: 0, id, brought: Err(late), took }).await.expect("taken");
            copying.take_all_back().expect("it may pass");
        }
        assert_eq!(sizes, [5_000, 1_250, 312, 78], "{stage:?}");
    }
}

/// Broken if a look through the target's table stayed in small pieces once it is quick again.
#[tokio::test(start_paused = true)]
async fn quick_looks_become_larger() {
    let (mut copying, mut errands, give) = copying(Stage::Checking);
    let mut sizes = Vec::new();
    for seconds in [300, 60, 0, 0, 0] {
        sleep(Duration::from_secs(60)).await;
        copying.send_out(&lsn(1), 0, Duration::ZERO).expect("sent out");
        let errand = errands.try_recv().expect("an errand");
        let rows = rows_of(&errand);
        sizes.push(rows);
        let checked = Checked {
            last: Some("p".to_owned()),
            ended: false,
            rows,
            extra: Vec::new(),
            deleted: 0,
        };
        let brought = match seconds {
            300 => Err(Error::new(Kind::Timeout, "too long")),
            _ => Ok(Brought::Checked(Some(checked))),
        };
        let (id, took) = (errand.id, Duration::from_secs(seconds));
        give.send(Return { reader: 0, id, brought, took }).await.expect("taken");
        copying.take_all_back().expect("taken back");
    }
    assert_eq!(sizes, [5_000, 1_250, 627, 1_254, 2_508]);
}
