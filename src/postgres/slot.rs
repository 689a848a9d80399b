//! What a capture needs to know of its slot and publication, read in an ordinary session.
//!
//! A slot that cannot continue from the witness is a gap, said in words; nothing is repaired here.
//! The publication must hold every planned table without a row filter, or changes would be missing
//! without a sign.
//! Source: PostgreSQL manual, "pg_replication_slots", "pg_publication_tables".

use std::time::Duration;

use tokio_postgres::Client;

use super::failure::classify;
use super::sql::literal;
use crate::error::{Error, Kind, Result};
use crate::model::TableName;
use crate::plan::LinkPlan;
use crate::position::Lsn;

/// What weir reads of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Output plugin; empty for a physical slot.
    pub(super) plugin: String,
    /// Database of a logical slot.
    pub(super) database: String,
    /// Process that streams from it.
    pub(super) active_pid: Option<i32>,
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub(super) wal_status: String,
    /// Why the server gave it up (from version 17 on; version 16: by a conflict on a standby).
    pub(super) invalidation: Option<String>,
    /// It is a copy that the server, a standby, keeps of its primary's.
    pub(super) copied: bool,
    /// Commits before this are never sent again.
    pub(super) confirmed: Option<Lsn>,
}

/// Reads the slot called `name`.
pub(super) async fn read(session: &Client, name: &str) -> Result<Option<Slot>> {
    let sql = "SELECT coalesce(plugin::text, ''), coalesce(database::text, ''), active_pid,
                      coalesce(wal_status, ''),
                      coalesce(to_jsonb(s) ->> 'invalidation_reason',
                               CASE WHEN to_jsonb(s) ->> 'conflicting' = 'true' THEN 'conflict' END),
                      confirmed_flush_lsn::text,
                      pg_is_in_recovery() AND coalesce(to_jsonb(s) ->> 'synced' = 'true', false)
               FROM pg_replication_slots s WHERE slot_name = $1::text";
    let row = session
        .query_opt(sql, &[&name])
        .await
        .map_err(|error| classify(error, format!("look for slot {name}")))?;
    Ok(row.map(|row| Slot {
        plugin: row.get(0),
        database: row.get(1),
        active_pid: row.get(2),
        wal_status: row.get(3),
        invalidation: row.get(4),
        confirmed: row.get::<_, Option<&str>>(5).and_then(|lsn| lsn.parse().ok()),
        copied: row.get(6),
    }))
}

/// The query that tells how many bytes of log the slot called `name` keeps, and how many may still be
/// written before the server gives it up: NULL where it never does, 0 where it has, or the slot is gone.
pub(super) fn retention(name: &str) -> String {
    format!(
        "SELECT pg_wal_lsn_diff({END}, s.restart_lsn)::int8,
                CASE WHEN s.slot_name IS NULL OR s.wal_status = 'lost' THEN 0
                     ELSE s.safe_wal_size END
         FROM (SELECT) AS link LEFT JOIN pg_replication_slots s ON s.slot_name = {}",
        literal(name)
    )
}

/// The end of the log: of a standby, what it has replayed.
pub(super) const END: &str = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
    ELSE pg_current_wal_insert_lsn() END";

/// An error if the log ends before `witness`: the stream would pass over what is written up to there.
pub(super) async fn require_log_until(session: &Client, witness: Lsn) -> Result<()> {
    let sql = format!("SELECT {END}::text, pg_is_in_recovery()");
    let row = session
        .query_one(&sql, &[])
        .await
        .map_err(|error| classify(error, "tell the end of the log"))?;
    match row.get::<_, &str>(0).parse::<Lsn>() {
        // A standby that has crashed replays once more what it had.
        Ok(end) if end < witness && row.get(1) => Err(Error::new(
            Kind::Unavailable,
            format!("the standby has replayed its log to {end}, and not up to {witness} yet"),
        )),
        Ok(end) if end < witness => Err(Error::new(
            Kind::Identity,
            format!(
                "the source's log ends at {end}, before the target's {witness}: the source was set \
                 back to an older time"
            ),
        )
        .hint("`weir teardown LINK --apply`, then start anew with start = \"snapshot\"")),
        Ok(_) => Ok(()),
        Err(_) => Err(Error::new(Kind::Malformed, "the end of the source's log")),
    }
}

/// How long the server waits for a report of ours before it ends the stream; `None` is for ever.
pub(super) async fn report_limit(session: &Client) -> Result<Option<Duration>> {
    let sql = "SELECT setting::int8 FROM pg_settings WHERE name = 'wal_sender_timeout'";
    let row = session
        .query_one(sql, &[])
        .await
        .map_err(|error| classify(error, "read wal_sender_timeout"))?;
    let milliseconds = u64::try_from(row.get::<_, i64>(0)).unwrap_or_default();
    Ok((milliseconds > 0).then(|| Duration::from_millis(milliseconds)))
}

/// Removes a slot that nobody streams from.
pub(super) async fn drop_unused(session: &Client, name: &str) -> Result<()> {
    session
        .execute("SELECT pg_drop_replication_slot($1::text::name)", &[&name])
        .await
        .map_err(|error| classify(error, format!("drop unused slot {name}")))?;
    Ok(())
}

impl Slot {
    /// Whether a stream from `witness` misses nothing.
    pub(super) fn check(
        slot: Option<&Slot>,
        name: &str,
        database: &str,
        witness: Lsn,
    ) -> Result<()> {
        let gap = |what: String| Err(Error::new(Kind::Gap, format!("slot {name} {what}")));
        let Some(slot) = slot else {
            return gap("is gone".to_owned());
        };
        if slot.plugin != "pgoutput" || slot.database != database {
            let context = format!(
                "slot {name} belongs to plugin `{}` and database `{}`",
                slot.plugin, slot.database
            );
            return Err(Error::new(Kind::Identity, context));
        }
        if slot.copied {
            let context =
                format!("slot {name} is a standby's copy and can be read once it is promoted");
            return Err(Error::new(Kind::Unavailable, context).hint(
                "promote the standby, or point the database at its primary; weir tries again",
            ));
        }
        let lost = slot.wal_status == "lost" || slot.confirmed.is_none();
        if lost || slot.invalidation.is_some() {
            let reason = slot.invalidation.as_deref().unwrap_or("its log was removed");
            let gone = gap(format!("can no longer be read: {reason}"));
            return match reason {
                "rows_removed" | "conflict" => gone.map_err(|error| error.hint(FEEDBACK)),
                _ => gone,
            };
        }
        match slot.confirmed {
            Some(confirmed) if confirmed > witness => {
                gap(format!("was advanced to {confirmed}, beyond the target's {witness}"))
            }
            _ => slot.check_unused(name),
        }
    }

    /// Whether a first stream from `at`, which a person gives, misses nothing.
    pub(super) fn check_given(
        slot: Option<&Slot>,
        name: &str,
        database: &str,
        at: Lsn,
    ) -> Result<()> {
        let make = format!(
            "SELECT lsn FROM pg_create_logical_replication_slot({}, 'pgoutput')",
            literal(name)
        );
        let anew = format!(
            "make the slot before the rows are copied: `{make}` in database {database}, then copy, then \
             write that lsn as start = {{ lsn = \"…\" }}"
        );
        let Some(found) = slot else {
            let context =
                format!("start says lsn {at}, and there is no slot {name} to keep the log");
            return Err(Error::new(Kind::Gap, context).hint(anew));
        };
        Slot::check(slot, name, database, at).map_err(|error| match (error.kind(), found.confirmed) {
            (Kind::Gap, Some(confirmed)) if confirmed > at && found.invalidation.is_none() => {
                let context = format!(
                    "start says lsn {at}, and slot {name} holds the log from {confirmed} on only"
                );
                Error::new(Kind::Gap, context).hint(format!(
                    "write start = {{ lsn = \"{confirmed}\" }} if the rows were copied after that; else \
                     drop the slot (`SELECT pg_drop_replication_slot({})`) and {anew}",
                    literal(name)
                ))
            }
            (Kind::Gap, _) => error.hint(format!(
                "drop the slot (`SELECT pg_drop_replication_slot({})`) and {anew}",
                literal(name)
            )),
            (Kind::Identity, _) => error.hint(format!(
                "drop that slot (`SELECT pg_drop_replication_slot({})`), if nobody else needs it, and \
                 {anew}",
                literal(name)
            )),
            _ => error,
        })
    }

    /// Whether nobody streams from it.
    pub(super) fn check_unused(&self, name: &str) -> Result<()> {
        match self.active_pid {
            None => Ok(()),
            Some(pid) => {
                let context = format!("slot {name} is in use by server process {pid}");
                Err(Error::new(Kind::SourceBusy, context))
            }
        }
    }
}

/// Why a standby gives a slot up, and how that is prevented.
const FEEDBACK: &str = "the primary removed what the slot on its standby still needed: `weir teardown \
    LINK --apply`, then start anew with start = \"snapshot\"; hot_standby_feedback = on and a \
    primary_slot_name on the standby prevent it";

/// What the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// As the server codes it: 180000.
    pub(super) version: i32,
    /// In recovery.
    pub(super) standby: bool,
}

impl Server {
    /// Whether slots made here may be copied to standbys.
    pub(super) fn takes_failover(self) -> bool {
        self.version >= 170_000 && !self.standby
    }

    /// Whether its log can be decoded.
    pub(super) fn decodes(self) -> bool {
        self.version >= 160_000 || !self.standby
    }
}

/// Said of a standby whose log cannot be decoded.
pub(super) const TOO_OLD: &str = "the server is a standby of a version before 16, whose log cannot \
    be decoded";

/// Checks that the server can decode its log, and that the publication carries every change of the
/// planned tables.
pub(super) async fn require_ready(session: &Client, name: &str, plan: &LinkPlan) -> Result<Server> {
    let failed = |error| classify(error, format!("look for publication {name}"));
    let sql = "SELECT pg_is_in_recovery(), current_setting('wal_level'),
                      current_setting('server_version_num')::int4";
    let row = session.query_one(sql, &[]).await.map_err(failed)?;
    let server = Server { version: row.get(2), standby: row.get(0) };
    if !server.decodes() {
        return Err(Error::new(Kind::Setting, TOO_OLD).hint("point the database at its primary"));
    }
    if row.get::<_, &str>(1) != "logical" {
        let context = format!("wal_level is `{}` and must be `logical`", row.get::<_, &str>(1));
        return Err(Error::new(Kind::Setting, context)
            .hint("ALTER SYSTEM SET wal_level = 'logical', then restart the server"));
    }
    let setup = |context: String| {
        Err(Error::new(Kind::Setting, context)
            .hint("run `weir setup`, which prints the statements"))
    };
    let sql = "SELECT pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot
               FROM pg_publication WHERE pubname = $1::text";
    match session.query_opt(sql, &[&name]).await.map_err(failed)? {
        None => return setup(format!("publication {name} does not exist")),
        Some(row) if !row.get::<_, bool>(0) => {
            return setup(format!("publication {name} leaves operations out"));
        }
        // TRUNCATE of a partition would not be in the stream.
        Some(row) if row.get(1) => {
            return setup(format!("publication {name} publishes partitions as their root"));
        }
        Some(_) => {}
    }
    let witness = TableName::new("weir", "witness");
    let tables = plan.tables.iter().map(|table| &table.source.name);
    let tables: Vec<_> = tables.chain(plan.is_marked().then_some(&witness)).collect();
    for held in held(session, name, &tables).await.map_err(failed)? {
        if !held.whole {
            return setup(format!("publication {name} has a row filter on {}", held.table));
        }
        if !held.published {
            return setup(format!("table {} is not in publication {name}", held.table));
        }
    }
    Ok(server)
}

/// A table and a publication.
pub(super) struct Held {
    /// The table.
    pub(super) table: TableName,
    /// Whether the publication holds it, by itself or by a table that it is a partition of.
    pub(super) published: bool,
    /// Whether it holds it without a row filter and a column list.
    pub(super) whole: bool,
}

/// Tables by schema `$1` and name `$2`, and publication `$3`. Partitions are in it by the tables above
/// them; row filters and column lists exist from version 15 on, as do publications of schemas (`{s}`).
const HELD: &str = "
SELECT n.nspname::text, c.relname::text, COALESCE(bool_or(p.puballtables OR r.oid IS NOT NULL OR {s}), false),
       NOT COALESCE(bool_or(to_jsonb(r) ->> 'prqual' IS NOT NULL
                            OR to_jsonb(r) ->> 'prattrs' IS NOT NULL), false)
FROM unnest($1::text[], $2::text[]) AS w(schema, name)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
CROSS JOIN LATERAL (SELECT c.oid UNION SELECT a.relid::oid FROM pg_partition_ancestors(c.oid) a) AS up
JOIN pg_class u ON u.oid = up.oid
LEFT JOIN pg_publication p ON p.pubname = $3::text
LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = up.oid
GROUP BY n.nspname, c.relname";
const BY_SCHEMA: &str = "EXISTS (SELECT FROM pg_publication_namespace s
    WHERE s.pnpubid = p.oid AND s.pnnspid = u.relnamespace)";

/// How publication `name` holds `tables`; of those that do not exist nothing is said.
pub(super) async fn held(
    session: &Client,
    name: &str,
    tables: &[&TableName],
) -> Result<Vec<Held>, tokio_postgres::Error> {
    let knows_schemas = "SELECT to_regclass('pg_publication_namespace') IS NOT NULL";
    let by_schema = match session.query_one(knows_schemas, &[]).await?.get(0) {
        true => BY_SCHEMA,
        false => "false",
    };
    let (schemas, names): (Vec<&str>, Vec<&str>) =
        tables.iter().map(|name| (name.schema.as_str(), name.table.as_str())).unzip();
    let rows = session.query(&HELD.replace("{s}", by_schema), &[&schemas, &names, &name]).await?;
    let held = rows.iter().map(|row| Held {
        table: TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
        published: row.get(2),
        whole: row.get(3),
    });
    Ok(held.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot() -> Slot {
        Slot {
            plugin: "pgoutput".to_owned(),
            database: "app".to_owned(),
            active_pid: None,
            wal_status: "reserved".to_owned(),
            invalidation: None,
            confirmed: Some(Lsn(100)),
            copied: false,
        }
    }

    fn kind(slot: Option<Slot>, witness: u64) -> Option<Kind> {
        Slot::check(slot.as_ref(), "weir_x", "app", Lsn(witness)).err().map(|error| error.kind())
    }

    /// Broken if weir streamed on over a hole, or stopped for good where waiting helps.
    #[test]
    fn a_slot_continues_only_where_nothing_is_missing() {
        assert_eq!(kind(Some(slot()), 100), None);
        assert_eq!(kind(Some(slot()), 99), Some(Kind::Gap));
        assert_eq!(kind(None, 100), Some(Kind::Gap));
        let lost = Slot { wal_status: "lost".to_owned(), ..slot() };
        assert_eq!(kind(Some(lost), 200), Some(Kind::Gap));
        let invalid = Slot { invalidation: Some("wal_removed".to_owned()), ..slot() };
        assert_eq!(kind(Some(invalid), 200), Some(Kind::Gap));
        let other = Slot { database: "other".to_owned(), ..slot() };
        assert_eq!(kind(Some(other), 200), Some(Kind::Identity));
        let copy = Slot { copied: true, ..slot() };
        assert_eq!(kind(Some(copy), 200), Some(Kind::Unavailable));
        let active = Slot { active_pid: Some(7), ..slot() };
        assert_eq!(kind(Some(active), 200), Some(Kind::SourceBusy));
    }
}
