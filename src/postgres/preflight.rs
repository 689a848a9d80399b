//! Everything that would keep a PostgreSQL database from being a source or a target, found before
//! a link starts and said with the statement that mends it.
//!
//! Reads catalogs and settings only; changes nothing. Whether tables fit together and whether a
//! match key lies in the replica identity is the planner's to judge. A failing connection is an
//! error, not a finding.

mod limits;
mod managed;
mod reader;
mod retention;
mod source;
mod target;

use std::collections::BTreeMap;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use self::managed::{Change, Managed};
pub(super) use self::reader::check_reader;
use super::failure::classify;
use super::session::{self, Session};
use crate::error::{Kind, Result};
use crate::link::ports::{Finding, Preflight, Whole};

/// What would keep the database from being read.
pub async fn check_source(preflight: Preflight<'_>) -> Result<Vec<Finding>> {
    let probe = Probe::connect(preflight).await?;
    let mut findings = source::settings(&probe).await?;
    findings.extend(source::role(&probe).await?);
    findings.extend(retention::look(&probe).await?);
    findings.extend(source::slot(&probe).await?);
    let own = Whole { slots: vec![preflight.context.slot_name()], writers: 0 };
    findings.extend(limits::replication(&probe, preflight.whole.unwrap_or(&own)).await?);
    if let Some(whole) = preflight.whole {
        findings.extend(probe.shared(whole).await?);
        findings.extend(source::left_over(&probe, whole).await?);
        findings.extend(source::login(preflight, &findings).await);
    }
    findings.extend(source::publication(&probe).await?);
    findings.extend(source::partitions(&probe));
    findings.extend(rights(&probe, &["SELECT"]).await?);
    probe.session.close().await;
    Ok(findings)
}

/// What would keep the database from being written.
pub async fn check_target(preflight: Preflight<'_>) -> Result<Vec<Finding>> {
    let probe = Probe::connect(preflight).await?;
    let mut findings = target::settings(&probe).await?;
    if let Some(whole) = preflight.whole {
        findings.extend(probe.shared(whole).await?);
    }
    findings.extend(target::weir_schema(&probe).await?);
    findings.extend(rights(&probe, &["SELECT", "INSERT", "UPDATE", "DELETE"]).await?);
    findings.extend(types(&probe).await?);
    findings.extend(target::tables(&probe).await?);
    findings.extend(target::expressions(&probe).await?);
    findings.extend(target::counters(&probe).await?);
    findings.extend(target::outer_keys(&probe).await?);
    probe.session.close().await;
    Ok(findings)
}

/// A session that looks.
struct Probe<'a> {
    session: Session,
    preflight: Preflight<'a>,
    managed: Managed,
}

impl<'a> Probe<'a> {
    async fn connect(preflight: Preflight<'a>) -> Result<Self> {
        let session = session::connect(preflight.database, "weir check").await?;
        let mut probe = Probe { session, preflight, managed: Managed::Own };
        // Some looks lock tables as readers do, and would wait behind whoever alters one.
        let limits = "SET lock_timeout = '10s'; SET statement_timeout = '60s'";
        probe.session.batch_execute(limits).await.map_err(|error| {
            classify(error, format!("check of database {}", preflight.database.name))
        })?;
        let sql = "SELECT rolname::text FROM pg_roles WHERE rolname = ANY ($1::text[])";
        let roles = probe.rows(sql, &[&Managed::roles()]).await?;
        let roles: Vec<String> = roles.iter().map(|row| row.get(0)).collect();
        probe.managed = Managed::by_roles(&roles);
        Ok(probe)
    }

    async fn rows(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        self.session.query(sql, parameters).await.map_err(|error| {
            classify(error, format!("check of database {}", self.preflight.database.name))
        })
    }

    /// What source and target have in common.
    async fn shared(&self, whole: &Whole) -> Result<Vec<Finding>> {
        let mut findings = limits::sessions(self, whole).await?;
        findings.extend(limits::clock(self).await?);
        findings.extend(limits::timeouts(self).await?);
        Ok(findings)
    }

    /// Schemas and names of the tables, for `unnest`.
    fn tables(&self) -> (Vec<&'a str>, Vec<&'a str>) {
        let names = self.preflight.tables.iter().map(|table| &table.name);
        names.map(|name| (name.schema.as_str(), name.table.as_str())).unzip()
    }

    /// A finding about the database.
    fn about_database(
        &self,
        fatal: bool,
        kind: Kind,
        message: impl Into<String>,
        (mend, hint): Change,
    ) -> Finding {
        let subject = format!("database {}", self.preflight.database.name);
        Finding { fatal, kind, subject, message: message.into(), hint, mend }
    }
}

/// The same, and these words after it.
fn and_then((mend, mut hint): Change, words: &str) -> Change {
    if !hint.is_empty() {
        hint.push_str("; ");
    }
    hint.push_str(words);
    (mend, hint)
}

/// What to do where no statement helps.
fn by_hand(hint: &str) -> Change {
    (Vec::new(), hint.to_owned())
}

/// A statement that mends all of it.
fn by(statement: impl Into<String>) -> Change {
    (vec![statement.into()], String::new())
}

/// `NULL` rights mean that the table is gone since it was planned; the planner says that.
const RIGHTS: &str = "
SELECT n.nspname::text, c.relname::text, quote_ident(n.nspname) AS schema,
       format('%I.%I', n.nspname, c.relname) AS name, quote_ident(current_user) AS role,
       has_schema_privilege(n.oid, 'USAGE') AS usage,
       ARRAY(SELECT r FROM unnest($3::text[]) AS r WHERE NOT has_table_privilege(c.oid, r)) AS missing,
       row_security_active(c.oid) AS row_security
FROM unnest($1::text[], $2::text[]) AS t(nsp, rel)
JOIN pg_namespace n ON n.nspname = t.nsp
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.rel";

/// Rights on the tables, and row security that would hide rows.
async fn rights(probe: &Probe<'_>, wanted: &[&str]) -> Result<Vec<Finding>> {
    let (schemas, names) = probe.tables();
    let mut findings = Vec::new();
    for row in probe.rows(RIGHTS, &[&schemas, &names, &wanted]).await? {
        let table: String = format!("{}.{}", row.get::<_, &str>(0), row.get::<_, &str>(1));
        let (schema, name, role): (String, String, String) =
            (row.get("schema"), row.get("name"), row.get("role"));
        let missing: Vec<String> = row.get("missing");
        let mut deny = |message: String, statement: String| {
            let subject = format!("table {table}");
            let (kind, hint, mend) = (Kind::Privilege, String::new(), vec![statement]);
            findings.push(Finding { fatal: true, kind, subject, message, hint, mend });
        };
        if !row.get::<_, bool>("usage") {
            deny(
                format!("role {role} has no USAGE on schema {schema}"),
                format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
            );
        }
        if !missing.is_empty() {
            let missing = missing.join(", ");
            deny(
                format!("role {role} may not {missing}"),
                format!("GRANT {missing} ON {name} TO {role}"),
            );
        }
        if row.get("row_security") {
            deny(
                format!("row security hides rows from role {role}"),
                format!("ALTER ROLE {role} BYPASSRLS"),
            );
        }
    }
    Ok(findings)
}

/// Of the schemas `$1`, those whose types the user may not name.
const HIDDEN_TYPES: &str = "
SELECT n.nspname::text, quote_ident(n.nspname) AS schema, quote_ident(current_user) AS role
FROM pg_namespace n
WHERE n.nspname = ANY ($1::text[]) AND NOT has_schema_privilege(n.oid, 'USAGE')
ORDER BY n.nspname COLLATE \"C\"";

/// Whether the types of columns may be named, which statements that write do.
async fn types(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let mut of_schemas: BTreeMap<&str, String> = BTreeMap::new();
    for table in probe.preflight.tables {
        for column in &table.columns {
            let others = column.type_schemas.iter().filter(|one| **one != table.name.schema);
            for schema in others {
                let subject = || format!("table {}, column {}", table.name, column.name);
                of_schemas.entry(schema).or_insert_with(subject);
            }
        }
    }
    let schemas: Vec<&str> = of_schemas.keys().copied().collect();
    let mut findings = Vec::new();
    for row in probe.rows(HIDDEN_TYPES, &[&schemas]).await? {
        let (name, schema, role): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
        findings.push(Finding {
            fatal: true,
            kind: Kind::Privilege,
            subject: of_schemas.remove(name).unwrap_or_default(),
            message: format!("role {role} has no USAGE on schema {schema}, which the type is in"),
            hint: String::new(),
            mend: vec![format!("GRANT USAGE ON SCHEMA {schema} TO {role}")],
        });
    }
    Ok(findings)
}
