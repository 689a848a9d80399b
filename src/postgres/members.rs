//! Which relations of the log belong to which planned table.
//!
//! The log names the partition that holds a row, never the table it is a partition of, so this is
//! asked of the catalog, and what was known of partitions that are gone is added by [`Members::recall`].
//! A relation that none of this knows is not passed over: it may be a partition made since. What the
//! catalog says of a table is good for the transactions that it could see: a later one may have made it
//! a partition, so the catalog is asked once more where such a one describes it. The server describes a
//! relation anew after whatever makes it another one.
//! Source: PostgreSQL manual, "pg_inherits", "pg_publication_tables"; `pgoutput_change`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::{HashMap, HashSet};
use tokio_postgres::Client;

use super::failure::classify;
use super::scan::marks::{Log, Marks};
use super::session;
use crate::config::{Database, DroppedPartitions};
use crate::error::{Error, Kind, Result};
use crate::model::TableName;
use crate::plan::LinkPlan;
use crate::position::Lsn;

/// Longest look at the catalog while the stream waits for it.
const LOOK_MAX: Duration = Duration::from_secs(30);

/// What relations of the log are, by object id.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// Planned tables and their partitions, by index in the plan.
    pub(super) planned: HashMap<u32, usize>,
    /// Of each planned table that is partitioned: the partitions that hold its rows now.
    pub(super) partitions: HashMap<usize, HashSet<u32>>,
    /// Planned tables of which partitions are gone.
    bereft: HashSet<usize>,
    /// What the publication holds besides, and whether it is a partition.
    others: HashMap<u32, bool>,
    /// Tables outside the publication, which it may have held before. Not asked for where a partition
    /// that came and went may not be passed over, since it is one of these once it is detached.
    apart: HashSet<u32>,
    /// What the catalog could tell of.
    seen: Option<Marks>,
}

/// Where it is asked once more.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) database: Database,
    pub(super) application_name: String,
    pub(super) publication: String,
    pub(super) plan: Arc<LinkPlan>,
}

impl Catalog {
    /// Reads them as they are now.
    pub(super) async fn look(&self) -> Result<Members> {
        let looked = async {
            let session = session::connect(&self.database, &self.application_name).await?;
            read(&session, &self.publication, &self.plan).await
        };
        tokio::time::timeout(LOOK_MAX, looked).await.map_err(|elapsed| {
            Error::new(Kind::Timeout, "look up the planned tables").caused_by(elapsed)
        })?
    }
}

/// What a relation is that is no planned table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Other {
    /// A table.
    Table,
    /// A partition of a table that is not planned.
    Partition,
    /// Not known: perhaps a partition that came or went.
    Stranger,
}

/// The cause of an error at a relation that is not known.
#[derive(Debug)]
pub(super) struct Stranger {
    oid: u32,
    name: TableName,
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "relation {} ({}) is not known", self.oid, self.name)
    }
}

impl std::error::Error for Stranger {}

/// Planned tables by schema `$1` and name `$2`, with their partitions.
const PLANNED: &str = "
WITH RECURSIVE tree(position, oid, kind) AS (
  SELECT w.position::int4, c.oid, c.relkind
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(schema, name, position)
  JOIN pg_namespace n ON n.nspname = w.schema
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
  UNION ALL
  SELECT t.position, c.oid, c.relkind
  FROM tree t JOIN pg_inherits i ON i.inhparent = t.oid AND t.kind = 'p'
  JOIN pg_class c ON c.oid = i.inhrelid)
SELECT position, oid, kind FROM tree";

/// What publication `$1` lets into the log.
const PUBLISHED: &str = "
SELECT c.oid, c.relispartition FROM pg_publication_tables t
JOIN pg_namespace n ON n.nspname = t.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
WHERE t.pubname = $1::text";

/// Tables that are no partitions.
const APART: &str = "
SELECT oid FROM pg_class WHERE relkind = 'r' AND relpersistence = 'p' AND NOT relispartition
  AND oid >= 16384";

/// Reads them as they are now, all at one moment.
pub(super) async fn read(session: &Client, publication: &str, plan: &LinkPlan) -> Result<Members> {
    let failed = |error| classify(error, "look up the planned tables");
    let names = plan.tables.iter().map(|table| &table.source.name);
    let (schemas, tables): (Vec<&str>, Vec<&str>) =
        names.map(|name| (name.schema.as_str(), name.table.as_str())).unzip();
    let marks = Log::of(session).await?.open_snapshot(session).await?;
    let mut members = Members { seen: Some(marks), ..Members::default() };
    let mut holders = Vec::new();
    for row in session.query(PLANNED, &[&schemas, &tables]).await.map_err(failed)? {
        let position = usize::try_from(row.get::<_, i32>(0)).unwrap_or_default();
        let Some(table) = position.checked_sub(1) else { continue };
        let oid: u32 = row.get(1);
        members.planned.insert(oid, table);
        match row.get::<_, i8>(2) as u8 {
            b'p' => drop(members.partitions.entry(table).or_default()),
            _ => holders.push((table, oid)),
        }
    }
    for (table, oid) in holders {
        if let Some(partitions) = members.partitions.get_mut(&table) {
            partitions.insert(oid);
        }
    }
    for row in session.query(PUBLISHED, &[&publication]).await.map_err(failed)? {
        members.others.insert(row.get(0), row.get(1));
    }
    let keeps = |table: &usize| {
        let table = plan.tables.get(*table);
        table.is_some_and(|table| table.dropped_partitions == DroppedPartitions::Keep)
    };
    if !members.partitions.is_empty() && !members.partitions.keys().any(keeps) {
        let rows = session.query(APART, &[]).await.map_err(failed)?;
        members.apart = rows.iter().map(|row| row.get(0)).collect();
    }
    session.simple_query("COMMIT").await.map_err(failed)?;
    Ok(members)
}

impl Members {
    /// Adds partitions of another time, by table and their line of the origin.
    pub(super) fn recall(&mut self, partitions: &[(usize, String)]) {
        for (table, line) in partitions {
            let oid = line.split(' ').nth(1).and_then(|oid| oid.parse().ok());
            let Some(oid) = oid.filter(|oid| !self.planned.contains_key(oid)) else { continue };
            self.bereft.insert(*table);
            if !self.others.contains_key(&oid) {
                self.planned.insert(oid, *table);
            }
        }
    }

    /// Whether rows of `relation` are those of the partitioned table `table`.
    pub(super) fn is_partition(&self, relation: u32, table: usize) -> bool {
        self.partitions.contains_key(&table) && self.planned.get(&relation) == Some(&table)
    }

    /// Whether a TRUNCATE of `relations` leaves no row of the partitioned table `table`. Where it
    /// `keeps` rows of partitions that are gone, the log does not say whether those are meant too.
    pub(super) fn are_all(&self, relations: &[u32], table: usize, keeps: bool) -> bool {
        let Some(partitions) = self.partitions.get(&table) else { return false };
        !(partitions.is_empty() || keeps && self.bereft.contains(&table))
            && partitions.iter().all(|partition| relations.contains(partition))
    }

    /// What a relation is that is not planned. Without partitioned tables in the plan nothing is
    /// a stranger.
    pub(super) fn other(&self, relation: u32) -> Other {
        match self.others.get(&relation) {
            Some(true) => Other::Partition,
            None if !self.partitions.is_empty() && !self.apart.contains(&relation) => {
                Other::Stranger
            }
            Some(false) | None => Other::Table,
        }
    }

    /// Whether what the catalog says of a relation that is not planned is good for transaction `xid`,
    /// whose commit record begins at `commit`.
    pub(super) fn is_settled(&self, xid: u32, commit: Lsn) -> bool {
        self.partitions.is_empty() || self.seen.as_ref().is_some_and(|seen| seen.see(xid, commit))
    }

    /// Takes what the catalog says `now` of relations that are not planned.
    ///
    /// # Errors
    /// One that became a partition of a planned table is for the next attempt.
    pub(super) fn renew(&mut self, now: Members) -> Result<()> {
        if now.planned.keys().any(|relation| !self.planned.contains_key(relation)) {
            let context = "partitions came to the planned tables; connecting anew";
            return Err(Error::new(Kind::Unavailable, context));
        }
        let Members { others, apart, seen, .. } = now;
        (self.others, self.apart, self.seen) = (others, apart, seen);
        Ok(())
    }

    fn knows(&self, relation: u32) -> bool {
        self.planned.contains_key(&relation)
            || self.others.contains_key(&relation)
            || self.apart.contains(&relation)
    }
}

/// The error for rows of a relation that is not known.
pub(super) fn unknown(oid: u32, name: &TableName) -> Error {
    let context = format!("the log holds rows of {name}, which was not there when weir looked");
    Error::new(Kind::Unavailable, context).caused_by(Stranger { oid, name: name.clone() })
}

/// The same error once the catalog was asked again: a partition made meanwhile is known to the next
/// attempt, but whose rows those of one that is gone were can no longer be told.
pub(super) async fn explain(
    error: Error,
    session: &Client,
    publication: &str,
    plan: &LinkPlan,
) -> Result<Error> {
    let Some(stranger) = stranger(&error) else { return Ok(error) };
    if read(session, publication, plan).await?.knows(stranger.oid) {
        return Ok(error);
    }
    let context = format!(
        "the log holds rows of {}, perhaps a partition that was made and dropped or detached since: \
         the table they belonged to can no longer be told",
        stranger.name
    );
    Ok(Error::new(Kind::TableGap, context).caused_by(error).hint(
        "compare the partitioned tables with the target, then `weir resume LINK --schema-reviewed`",
    ))
}

/// The relation that an error is about, if it is one of [`unknown`].
pub(super) fn stranger(error: &Error) -> Option<&Stranger> {
    std::error::Error::source(error).and_then(|cause| cause.downcast_ref())
}

#[cfg(test)]
impl Members {
    /// Tables of a publication that are no partitions.
    pub(super) fn other_tables(tables: &[u32]) -> Members {
        let others = tables.iter().map(|table| (*table, false)).collect();
        Members { others, ..Members::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if rows of a partition that is gone were nobody's, or a TRUNCATE of some partitions
    /// emptied the whole target.
    #[test]
    fn partitions_are_their_tables() {
        let mut members = Members {
            planned: HashMap::from([(1, 0), (2, 0), (3, 0), (9, 1)]),
            partitions: HashMap::from([(0, HashSet::from([2, 3]))]),
            others: HashMap::from([(4, false), (5, true)]),
            apart: HashSet::from([7, 8]),
            ..Members::default()
        };
        assert!(members.are_all(&[3, 2], 0, true), "nothing is kept yet");
        members.recall(&[
            (0, "partition 7 of transaction 3: public.m_7".to_owned()),
            (0, "partition 4 of transaction 3: public.reused".to_owned()),
        ]);
        assert!(members.is_partition(7, 0) && members.is_partition(2, 0));
        assert!(!members.is_partition(9, 1) && !members.is_partition(4, 0));
        assert!(members.are_all(&[3, 2], 0, false) && !members.are_all(&[2], 0, false));
        assert!(!members.are_all(&[3, 2], 0, true), "rows of a partition that is gone are kept");
        members.partitions.insert(0, HashSet::new());
        assert!(!members.are_all(&[7], 0, false), "no partition is known");
        assert_eq!(members.other(8), Other::Table, "it was published before");
        assert_eq!(members.other(4), Other::Table);
        assert_eq!(members.other(5), Other::Partition);
        assert_eq!(members.other(6), Other::Stranger);
        assert_eq!(Members::default().other(6), Other::Table);
    }
}
