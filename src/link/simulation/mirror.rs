//! The simulated target as it is read: its own rows, in the order of their keys.

use super::ends::{place_of, place_text};
use super::world::{Shared, World, int, lsn, row};
use crate::error::Result;
use crate::link::ports::{Chunk, Division, Pending, Reach, Scan, Scanned};
use crate::model::Row;
use crate::plan::TablePlan;
use crate::position::Position;

pub(super) struct FakeMirror(pub(super) Shared);

impl Scan for FakeMirror {
    fn instance(&mut self) -> Pending<'_, String> {
        Box::pin(async { Ok("target".to_owned()) })
    }

    fn head(&mut self) -> Pending<'_, Position> {
        Box::pin(async { Ok(lsn(0)) })
    }

    fn lag_bytes<'a>(&'a mut self, _: &'a Position) -> Pending<'a, Option<u64>> {
        Box::pin(async { Ok(None) })
    }

    fn read_rows<'a>(&'a mut self, _: &'a TablePlan, keys: &'a [Row]) -> Pending<'a, Scanned> {
        Box::pin(async move {
            World::step(&self.0).await?;
            let mut world = self.0.lock().expect("lock");
            world.connection(100)?;
            let rows = keys.iter().map(|key| {
                let key = int(key.first());
                world.committed.rows.get(&key).map(|values| row(key, *values))
            });
            let rows = rows.collect();
            Ok(Scanned { low: lsn(0), high: lsn(0), exact: false, in_progress: Vec::new(), rows })
        })
    }

    fn divide<'a>(&'a mut self, _: &'a TablePlan, _: usize) -> Pending<'a, Division> {
        Box::pin(async {
            World::step(&self.0).await?;
            self.0.lock().expect("lock").connection(100)?;
            let walk = "target".to_owned();
            Ok(Division { walk, by_match_key: true, bounds: Vec::new(), rows: None })
        })
    }

    fn read_chunk<'a>(
        &'a mut self,
        table: &'a TablePlan,
        reach: &'a Reach,
    ) -> Pending<'a, Option<Chunk>> {
        Box::pin(async move {
            World::step(&self.0).await?;
            self.chunk(table, reach).map(Some)
        })
    }
}

impl FakeMirror {
    fn chunk(&self, table: &TablePlan, reach: &Reach) -> Result<Chunk> {
        const ROWS: usize = 3;
        let mut world = self.0.lock().expect("lock");
        world.connection(100)?;
        world.meet("looked through");
        let after = reach.after.as_deref().map_or(i64::MIN, |place| place_of(place).0);
        let is_here = table.source.name.table == "t";
        let found = world.committed.rows.iter().filter(|(key, _)| is_here && **key > after);
        let mut rows: Vec<Row> = found.map(|(key, values)| row(*key, *values)).collect();
        let ended = rows.len() <= ROWS;
        rows.truncate(ROWS);
        let last = rows.last().map(|row| place_text((int(row.first()), 0)));
        let (low, high, in_progress) = (lsn(0), lsn(0), Vec::new());
        Ok(Chunk { low, high, in_progress, rows, last, ended, bytes: 1 })
    }
}
