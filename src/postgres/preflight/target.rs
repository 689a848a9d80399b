//! Checks of a target: whether it takes writes and keeps them, schema `weir`, and what the tables
//! do by themselves when written to.

use super::{Probe, by_hand};
use crate::error::{Kind, Result};
use crate::link::ports::Finding;
use crate::model::TableName;
use crate::plan::{OuterKey, outer_key_warnings};
use crate::postgres::catalog::rule;
use crate::postgres::sql::{copies, counters, flags, letters, witness};

const SETTINGS: &str = "
SELECT pg_is_in_recovery() AS standby,
       quote_ident(current_user) AS role, quote_ident(current_database()) AS base,
       current_setting('default_transaction_read_only')::bool AS read_only,
       current_setting('fsync')::bool AS fsync,
       current_setting('full_page_writes')::bool AS full_pages,
       current_setting('server_encoding') AS encoding,
       current_setting('synchronous_standby_names') = '' AND EXISTS (
         SELECT FROM pg_stat_replication r WHERE NOT EXISTS (
           SELECT FROM pg_replication_slots s
           WHERE s.active_pid = r.pid AND s.slot_type = 'logical')) AS async_standby";

/// Whether commits are taken, and kept.
pub(super) async fn settings(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for row in probe.rows(SETTINGS, &[]).await? {
        let mut find = |fatal, kind, message: &str, change| {
            findings.push(probe.about_database(fatal, kind, message, change));
        };
        let holds = |column: &str| row.get::<_, bool>(column);
        if holds("standby") {
            let message = "the server is a standby: it takes no writes";
            find(true, Kind::ReadOnly, message, by_hand("point the database at its primary"));
        }
        if holds("read_only") {
            let message = "default_transaction_read_only is on: the database takes no writes";
            let (role, base): (&str, &str) = (row.get("role"), row.get("base"));
            let alter = format!(
                "ALTER ROLE {role} IN DATABASE {base} SET default_transaction_read_only = off"
            );
            // Else the administrator's own session is as read-only.
            let first = "SET default_transaction_read_only = off".to_owned();
            find(true, Kind::ReadOnly, message, (vec![first, alter], String::new()));
        }
        for (name, on) in [("fsync", holds("fsync")), ("full_page_writes", holds("full_pages"))] {
            if !on {
                let message =
                    format!("{name} is off: a crash of the machine can corrupt the target");
                find(false, Kind::Setting, &message, probe.managed.set(name, "on", false));
            }
        }
        if holds("async_standby") {
            let message = "its standbys are asynchronous: a failover can lose commits; weir \
                           notices, and goes on from its witness if the source's log reaches back";
            let change = by_hand("name one in synchronous_standby_names");
            find(false, Kind::Setting, message, change);
        }
        let encoding: &str = row.get("encoding");
        if encoding != "UTF8" {
            let message = format!("the database has encoding {encoding}: it cannot hold all text");
            find(false, Kind::Setting, &message, by_hand("use a database with encoding UTF8"));
        }
    }
    Ok(findings)
}

const OTHER_VERSION: &str = "go on with the weir that made it; or, where nothing is lost with what it \
    holds, drop it and run `weir setup --apply`";

const WEIR: &str = "
SELECT t.name, c.oid IS NOT NULL AS there, quote_ident(current_user) AS role,
       CASE WHEN n.oid IS NULL THEN true ELSE has_schema_privilege(n.oid, 'USAGE') END AS usage,
       CASE WHEN c.oid IS NULL THEN '{}'::text[] ELSE
         ARRAY(SELECT r FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r
               WHERE NOT has_table_privilege(c.oid, r)) END AS missing,
       ARRAY(SELECT k FROM unnest(string_to_array(t.columns, ' ')) AS k
             WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                               AND a.attname = k AND NOT a.attisdropped)) AS lacking
FROM unnest($1::text[], $2::text[]) AS t(name, columns)
LEFT JOIN pg_namespace n ON n.nspname = 'weir'
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.name";

/// weir's own tables.
pub(super) async fn weir_schema(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let names = ["witness", "missed", "dead_letter", "snapshot", "flagged"];
    let columns = [
        &witness::COLUMNS[..],
        &witness::MISSED_COLUMNS,
        &letters::COLUMNS,
        &copies::COLUMNS,
        &flags::COLUMNS,
    ];
    let columns = columns.map(|columns| columns.join(" "));
    for row in probe.rows(WEIR, &[&names.as_slice(), &columns.as_slice()]).await? {
        let (name, role): (&str, &str) = (row.get("name"), row.get("role"));
        let (missing, lacking): (Vec<String>, Vec<String>) =
            (row.get("missing"), row.get("lacking"));
        let mut find = |message: String, hint: &str, mend: Vec<String>| {
            let (subject, hint) = (format!("table weir.{name}"), hint.to_owned());
            let kind = Kind::Privilege;
            findings.push(Finding { fatal: true, kind, subject, message, hint, mend });
        };
        if !row.get::<_, bool>("there") {
            find("it does not exist".to_owned(), "run `weir setup --apply`", Vec::new());
        } else if !lacking.is_empty() {
            let message = format!("it is of another version: it has no {}", lacking.join(", "));
            find(message, OTHER_VERSION, Vec::new());
        } else if !row.get::<_, bool>("usage") {
            let grant = format!("GRANT USAGE ON SCHEMA weir TO {role}");
            find(format!("role {role} has no USAGE on schema weir"), "", vec![grant]);
        } else if !missing.is_empty() {
            let missing = missing.join(", ");
            let grant = format!("GRANT {missing} ON weir.{name} TO {role}");
            find(format!("role {role} may not {missing}"), "", vec![grant]);
        }
    }
    Ok(findings)
}

/// Triggers that fire for weir's writes, but for those of `weir ddl`, which stand back for them; rules that rewrite them, identities that refuse updates.
const TABLES: &str = "
SELECT n.nspname::text AS nsp, c.relname::text AS rel, format('%I.%I', n.nspname, c.relname) AS name,
       ARRAY(SELECT g.tgname::text FROM pg_trigger g WHERE g.tgrelid = c.oid
             AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
             AND NOT starts_with(g.tgname::text, 'weir_touch_') ORDER BY 1) AS triggers,
       ARRAY(SELECT quote_ident(w.rulename) FROM pg_rewrite w WHERE w.ev_class = c.oid
             AND (w.ev_type IN ('2', '3') OR w.ev_type = '4' AND w.ev_enabled IN ('O', 'A'))
             ORDER BY 1) AS rules,
       ARRAY(SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid
             AND a.attidentity = 'a' AND NOT a.attisdropped ORDER BY 1) AS always
FROM unnest($1::text[], $2::text[]) AS t(nsp, rel)
JOIN pg_namespace n ON n.nspname = t.nsp
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.rel";

/// What the tables do by themselves.
pub(super) async fn tables(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let (schemas, names) = probe.tables();
    let mut findings = Vec::new();
    for row in probe.rows(TABLES, &[&schemas, &names]).await? {
        let table = format!("{}.{}", row.get::<_, &str>("nsp"), row.get::<_, &str>("rel"));
        let name: &str = row.get("name");
        let mut find = |fatal, kind, message: String, hint: &str, mend: Vec<String>| {
            let (subject, hint) = (format!("table {table}"), hint.to_owned());
            findings.push(Finding { fatal, kind, subject, message, hint, mend });
        };
        let triggers: Vec<String> = row.get("triggers");
        if !triggers.is_empty() {
            let message = format!("triggers fire for what weir writes: {}", triggers.join(", "));
            let hint = "make sure that they change no replicated column; they can tell weir by \
                        current_setting('weir.apply', true)";
            find(false, Kind::Setting, message, hint, Vec::new());
        }
        let rules: Vec<String> = row.get("rules");
        if !rules.is_empty() {
            let message = format!("rules rewrite what weir writes: {}", rules.join(", "));
            // Disabled ones of INSERT and UPDATE, too, refuse ON CONFLICT.
            let drop = |rule: &String| format!("DROP RULE {rule} ON {name}");
            let mend = rules.iter().map(drop).collect();
            let hint = "pg_get_ruledef shows them, to be kept";
            find(true, Kind::Unsupported, message, hint, mend);
        }
        for column in row.get::<_, Vec<String>>("always") {
            let alter =
                format!("ALTER TABLE {name} ALTER COLUMN {column} SET GENERATED BY DEFAULT");
            let message =
                format!("column {column} is GENERATED ALWAYS AS IDENTITY: it cannot be updated");
            find(false, Kind::Setting, message, "", vec![alter]);
        }
    }
    Ok(findings)
}

/// Counters of new rows that the role may not set past those of a copy.
pub(super) async fn counters(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let (schemas, names) = probe.tables();
    let rows = probe.rows(counters::OF_TABLES, &[&schemas, &names]).await?;
    let find = |row: &tokio_postgres::Row| {
        let (sequence, role): (&str, &str) = (row.get(3), row.get(6));
        Finding {
            fatal: false,
            kind: Kind::Privilege,
            subject: format!("table {}.{}", row.get::<_, &str>(0), row.get::<_, &str>(1)),
            message: format!(
                "{sequence}, which numbers column {}, cannot be set past copied rows: role {role} may \
                 not SELECT, UPDATE",
                row.get::<_, &str>(2)
            ),
            hint: String::new(),
            mend: vec![format!("GRANT SELECT, UPDATE ON SEQUENCE {sequence} TO {role}")],
        }
    };
    Ok(rows.iter().filter(|row| !row.get::<_, bool>(5)).map(find).collect())
}

/// What the role may not use of what the tables evaluate when a row is inserted: in defaults of the columns
/// `$3`, `$4`, `$5`, in columns that are computed then, checks that are enforced, and indexes.
const EXPRESSIONS: &str = "
WITH e (rel, class, object) AS (
  SELECT d.adrelid, 'pg_attrdef'::regclass, d.oid FROM pg_attrdef d
  JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  JOIN pg_class c ON c.oid = d.adrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE a.attgenerated = 's' OR EXISTS (
    SELECT FROM unnest($3::text[], $4::text[], $5::text[]) AS l (nsp, rel, name)
    WHERE (l.nsp, l.rel, l.name) = (n.nspname, c.relname, a.attname))
  UNION ALL SELECT conrelid, 'pg_constraint'::regclass, oid FROM pg_constraint k
  WHERE contype = 'c' AND COALESCE((to_jsonb(k)->>'conenforced')::boolean, true)
  UNION ALL SELECT indrelid, 'pg_class'::regclass, indexrelid FROM pg_index)
SELECT DISTINCT format('%s.%s', n.nspname, c.relname) AS rel, quote_ident(current_user) AS role,
       CASE WHEN s.oid IS NULL THEN 'EXECUTE' ELSE 'USAGE' END AS right,
       CASE WHEN s.oid IS NULL THEN format('FUNCTION %s', f.oid::regprocedure)
            ELSE format('SEQUENCE %I.%I', sn.nspname, s.relname) END AS object
FROM unnest($1::text[], $2::text[]) AS t (nsp, rel)
JOIN pg_namespace n ON n.nspname = t.nsp
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.rel
JOIN e ON e.rel = c.oid
JOIN pg_depend p ON p.classid = e.class AND p.objid = e.object
LEFT JOIN pg_proc f ON p.refclassid = 'pg_proc'::regclass AND f.oid = p.refobjid
LEFT JOIN pg_class s ON p.refclassid = 'pg_class'::regclass AND s.oid = p.refobjid AND s.relkind = 'S'
LEFT JOIN pg_namespace sn ON sn.oid = s.relnamespace
WHERE CASE WHEN f.oid IS NOT NULL THEN NOT has_function_privilege(f.oid, 'EXECUTE')
           WHEN s.oid IS NOT NULL THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') END
ORDER BY 1, 4";

/// Rights on functions and sequences that inserts use.
pub(super) async fn expressions(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let (schemas, names) = probe.tables();
    let unfilled = probe.preflight.unfilled.iter();
    let columns: Vec<[&str; 3]> = unfilled
        .map(|one| [&one.table.schema, &one.table.table, &one.column.name].map(String::as_str))
        .collect();
    let [nsp, rel, column] =
        [0, 1, 2].map(|part| columns.iter().map(|names| names[part]).collect::<Vec<_>>());
    let rows = probe.rows(EXPRESSIONS, &[&schemas, &names, &nsp, &rel, &column]).await?;
    let find = |row: &tokio_postgres::Row| {
        let (role, right, object): (&str, &str, &str) =
            (row.get("role"), row.get("right"), row.get("object"));
        Finding {
            fatal: true,
            kind: Kind::Privilege,
            subject: format!("table {}", row.get::<_, &str>("rel")),
            message: format!("an insert uses {object}, which role {role} may not"),
            hint: String::new(),
            mend: vec![format!("GRANT {right} ON {object} TO {role}")],
        }
    };
    Ok(rows.iter().map(find).collect())
}

/// Keys with one end among the tables. One that refers to a partitioned table has copies that refer to
/// its partitions; one of PostgreSQL 18 that is not enforced does nothing.
const OUTER_KEYS: &str = "
SELECT k.conname::text AS name, cn.nspname::text AS child_schema, cc.relname::text AS child,
       pn.nspname::text AS parent_schema, pc.relname::text AS parent,
       k.confdeltype AS on_delete, k.confupdtype AS on_update
FROM pg_constraint k
JOIN pg_class cc ON cc.oid = k.conrelid JOIN pg_namespace cn ON cn.oid = cc.relnamespace
JOIN pg_class pc ON pc.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND COALESCE((to_jsonb(k)->>'conenforced')::boolean, true)
  AND EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS t(nsp, rel)
              WHERE (nsp, rel) IN ((cn.nspname, cc.relname), (pn.nspname, pc.relname)))
ORDER BY 2, 3, 1";

/// Foreign keys between the link's tables and others.
pub(super) async fn outer_keys(probe: &Probe<'_>) -> Result<Vec<Finding>> {
    let (schemas, names) = probe.tables();
    let rows = probe.rows(OUTER_KEYS, &[&schemas, &names]).await?;
    let keys = rows.iter().map(|row| OuterKey {
        name: row.get("name"),
        child: TableName::new(row.get::<_, &str>("child_schema"), row.get::<_, &str>("child")),
        parent: TableName::new(row.get::<_, &str>("parent_schema"), row.get::<_, &str>("parent")),
        on_delete: rule(row.get("on_delete")),
        on_update: rule(row.get("on_update")),
    });
    Ok(outer_key_warnings(&keys.collect::<Vec<_>>(), probe.preflight.tables))
}
