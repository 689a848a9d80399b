//! The statements that prepare a database for a link and those that undo it, for `weir setup` and
//! `weir teardown` to print or run.
//!
//! The source gets a publication of exactly the planned tables (no row filter, no column list, so
//! that it never makes a statement of the application fail: operations.md A1; partitions as themselves,
//! so that a TRUNCATE of one is in the log) and read rights; the
//! target gets schema `weir` and write rights. The slot is made by `weir run`, not here. Every
//! statement may be run again.

use std::collections::BTreeSet;

use super::failure::classify;
use super::session;
use super::sql::{literal, quote, quote_name};
use crate::config::Database;
use crate::error::{Kind, Result};
use crate::link::ports::LinkContext;
use crate::model::{Table, TableName};
use crate::plan::Unfilled;

/// The role of the user, as grants name it.
pub async fn account(database: &Database) -> Result<String> {
    Ok(quote(&database.user))
}

/// Lets the user connect; the catalog is open to everyone who can.
pub fn entry(database: &Database, account: &str, _: &[&str]) -> Vec<String> {
    vec![format!("GRANT CONNECT ON DATABASE {} TO {account}", quote(&database.database))]
}

/// Prepares a source: publication (one that is there already is made right), right to replicate,
/// right to read. Where weir also writes to it, the publication holds the witness, which marks what it wrote.
pub fn source(
    context: &LinkContext,
    database: &Database,
    account: &str,
    tables: &[&Table],
    marked: bool,
) -> Vec<String> {
    let publication = quote(&context.slot_name());
    // What is right is left alone: a publication that was altered tells that changes may be missing.
    let mut statements = vec![block(&format!(
        "IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = {name}) THEN \
         CREATE PUBLICATION {publication} WITH (publish = 'insert, update, delete, truncate'); \
         ELSIF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = {name} \
         AND NOT (pubinsert AND pubupdate AND pubdelete AND pubtruncate)) THEN \
         ALTER PUBLICATION {publication} SET (publish = 'insert, update, delete, truncate'); \
         END IF; \
         IF EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = {name} AND pubviaroot) \
         THEN ALTER PUBLICATION {publication} SET (publish_via_partition_root = false); END IF;",
        name = literal(&context.slot_name()),
    ))];
    if !tables.is_empty() {
        let mut names: Vec<String> = tables.iter().map(|table| quote_name(&table.name)).collect();
        if marked {
            // It is there once this database is prepared as the other direction's target.
            statements.extend(WEIR_TABLES.iter().take(2).map(|sql| (*sql).to_owned()));
            names.push("weir.witness".to_owned());
        }
        statements.push(format!("ALTER PUBLICATION {publication} SET TABLE {}", names.join(", ")));
    }
    statements.push(replication_right(&database.user));
    statements.extend(grants("SELECT", account, tables));
    statements
}

/// Prepares a target: schema `weir` with its tables, right to write, and to take numbers from the
/// sequences of columns that inserts leave to their defaults, and to set the counters of new rows past
/// those of a copy.
pub fn target(account: &str, tables: &[&Table], unfilled: &[Unfilled<'_>]) -> Vec<String> {
    let mut statements: Vec<String> = WEIR_TABLES.iter().map(|sql| (*sql).to_owned()).collect();
    statements.push(format!("GRANT USAGE ON SCHEMA weir TO {account}"));
    statements.push(format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON weir.witness, weir.missed, weir.dead_letter, \
         weir.snapshot, weir.flagged TO {account}"
    ));
    statements.extend(grants("SELECT, INSERT, UPDATE, DELETE", account, tables));
    statements.extend(counters(account, tables));
    let sequences: BTreeSet<_> = unfilled.iter().flat_map(|one| &one.column.sequences).collect();
    statements.extend(
        sequences.into_iter().map(|sequence| {
            format!("GRANT USAGE ON SEQUENCE {} TO {account}", quote_name(sequence))
        }),
    );
    statements
}

/// Lets the user read tables that steps look into.
pub fn lists(account: &str, tables: &[&Table]) -> Vec<String> {
    grants("SELECT", account, tables)
}

/// Removes what setup and `run` made at the source: slot and publication.
pub fn teardown_source(context: &LinkContext) -> Vec<String> {
    let name = context.slot_name();
    vec![
        format!(
            "SELECT pg_catalog.pg_drop_replication_slot(slot_name) \
             FROM pg_catalog.pg_replication_slots WHERE slot_name = {}",
            literal(&name)
        ),
        format!("DROP PUBLICATION IF EXISTS {}", quote(&name)),
    ]
}

/// Removes the link's rows from the target's `weir` tables; with `installation` only where no other one
/// wrote the witness.
pub fn teardown_target(context: &LinkContext, installation: Option<&str>) -> Vec<String> {
    let (name, link) = (literal(&context.name), literal(&context.link.to_string()));
    let of_link = format!("name = {name} AND link = {link}");
    let (own, none_foreign) = match installation.map(literal) {
        Some(id) => (
            format!(" AND installation = {id}"),
            format!(
                " AND NOT EXISTS (SELECT FROM weir.witness WHERE {of_link} AND installation <> {id})"
            ),
        ),
        None => (String::new(), String::new()),
    };
    let tables =
        ["weir.flagged", "weir.snapshot", "weir.dead_letter", "weir.missed", "weir.witness"];
    tables
        .iter()
        .map(|table| {
            let (witness, only) = match *table {
                "weir.witness" => ("", &own),
                _ => (" AND pg_catalog.to_regclass('weir.witness') IS NOT NULL", &none_foreign),
            };
            block(&format!(
                "IF pg_catalog.to_regclass('{table}') IS NOT NULL{witness} THEN \
                 DELETE FROM {table} WHERE {of_link}{only}; END IF;"
            ))
        })
        .collect()
}

/// Runs statements one by one; an error names the statement. No lock is waited for longer than ten
/// seconds, so that the application does not queue up behind weir.
pub async fn execute(database: &Database, verb: &str, statements: &[String]) -> Result<()> {
    let session = session::connect(database, &format!("weir {verb}")).await?;
    let place = session::place(database);
    session
        .batch_execute("SET lock_timeout = '10s'; SET statement_timeout = '10min'")
        .await
        .map_err(|error| classify(error, format!("prepare the session with {place}")))?;
    for statement in statements {
        session.batch_execute(statement).await.map_err(|error| {
            let error = classify(error, format!("database {place} refused `{statement}`"));
            match error.kind() {
                Kind::Privilege => error.hint(format!(
                    "run what is printed as an administrator of that server: \
                     `weir {verb} --on {} | psql …`",
                    database.name
                )),
                Kind::ReadOnly => error.hint(format!(
                    "database {} takes no writes; if it is a standby, run what is printed on its \
                     primary: `weir {verb} --on {} | psql …`, and the rest with `--on` the other \
                     database",
                    database.name, database.name
                )),
                _ => error,
            }
        })?;
    }
    session.close().await;
    Ok(())
}

/// Schema `weir` with its tables (DESIGN §4).
const WEIR_TABLES: &[&str] = &[
    "CREATE SCHEMA IF NOT EXISTS weir",
    "CREATE TABLE IF NOT EXISTS weir.witness (\n  \
       name varchar(24) NOT NULL,\n  \
       link varchar(40) NOT NULL,\n  \
       part integer NOT NULL,\n  \
       installation char(32) NOT NULL,\n  \
       seq bigint NOT NULL,\n  \
       position text NOT NULL,\n  \
       restart text,\n  \
       hops integer NOT NULL,\n  \
       pending text,\n  \
       source_identity varchar(255) NOT NULL,\n  \
       target_identity varchar(255) NOT NULL,\n  \
       updated_at timestamp(6) NOT NULL,\n  \
       PRIMARY KEY (name, link, part)\n)",
    "CREATE TABLE IF NOT EXISTS weir.missed (\n  \
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n  \
       name varchar(24) NOT NULL,\n  \
       link varchar(40) NOT NULL,\n  \
       table_name varchar(255) NOT NULL,\n  \
       key_values text NOT NULL,\n  \
       reason varchar(16) NOT NULL,\n  \
       noted_at timestamp(6) NOT NULL\n)",
    "CREATE INDEX IF NOT EXISTS missed_name_link ON weir.missed (name, link)",
    "CREATE TABLE IF NOT EXISTS weir.dead_letter (\n  \
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n  \
       name varchar(24) NOT NULL,\n  \
       link varchar(40) NOT NULL,\n  \
       source_table varchar(255) NOT NULL,\n  \
       table_name varchar(255) NOT NULL,\n  \
       row_name text NOT NULL,\n  \
       old_row_name text,\n  \
       operation varchar(16) NOT NULL,\n  \
       position text NOT NULL,\n  \
       ordinal bigint NOT NULL,\n  \
       kind varchar(40) NOT NULL,\n  \
       error text NOT NULL,\n  \
       hint text NOT NULL,\n  \
       change_values text NOT NULL,\n  \
       changes bigint NOT NULL DEFAULT 1,\n  \
       attempts integer NOT NULL,\n  \
       made_at timestamp(6) NOT NULL,\n  \
       tried_at timestamp(6),\n  \
       asked_at timestamp(6)\n)",
    // The name of a row may be longer than an entry of an index.
    "CREATE INDEX IF NOT EXISTS dead_letter_row ON weir.dead_letter \
       (name, link, table_name, hashtextextended(row_name, 0))",
    "CREATE TABLE IF NOT EXISTS weir.snapshot (\n  \
       name varchar(24) NOT NULL,\n  \
       link varchar(40) NOT NULL,\n  \
       table_name varchar(255) NOT NULL,\n  \
       progress text,\n  \
       asked text,\n  \
       PRIMARY KEY (name, link, table_name)\n)",
    "CREATE TABLE IF NOT EXISTS weir.flagged (\n  \
       id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n  \
       name varchar(24) NOT NULL,\n  \
       link varchar(40) NOT NULL,\n  \
       source_table varchar(255) NOT NULL,\n  \
       table_name varchar(255) NOT NULL,\n  \
       row_name text NOT NULL,\n  \
       kind varchar(16) NOT NULL,\n  \
       column_name varchar(255),\n  \
       owner varchar(16) NOT NULL,\n  \
       before_value text,\n  \
       after_value text,\n  \
       owner_value text,\n  \
       position text NOT NULL,\n  \
       ordinal bigint NOT NULL,\n  \
       committed_at timestamp(6),\n  \
       made_at timestamp(6) NOT NULL,\n  \
       state varchar(16) NOT NULL DEFAULT 'open',\n  \
       decided_at timestamp(6),\n  \
       decided_by varchar(255),\n  \
       note text\n)",
    // Only while they are written do records have no position.
    "CREATE INDEX IF NOT EXISTS flagged_unplaced ON weir.flagged (name, link) WHERE position = ''",
];

/// The right to replicate: an attribute of the role, or a role to be a member of (Amazon RDS).
fn replication_right(user: &str) -> String {
    let (name, role) = (literal(user), quote(user));
    block(&format!(
        "IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {name} \
         AND (rolreplication OR rolsuper)) THEN NULL; \
         ELSIF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'rds_replication') THEN \
         GRANT rds_replication TO {role}; \
         ELSE ALTER ROLE {role} REPLICATION; END IF;"
    ))
}

/// Rights on what numbers new rows. The sequence of an identity is found where the statement is run.
fn counters(account: &str, tables: &[&Table]) -> Vec<String> {
    let mut statements = BTreeSet::new();
    for table in tables {
        for column in table.columns.iter().filter(|column| column.auto_increment) {
            if column.sequences.is_empty() {
                let (table, column) = (literal(&quote_name(&table.name)), literal(&column.name));
                let grant = "GRANT SELECT, UPDATE ON SEQUENCE %s TO ";
                let grant = literal(&format!("{grant}{}", account.replace('%', "%%")));
                statements.insert(block(&format!(
                    "EXECUTE pg_catalog.format({grant}, pg_catalog.pg_get_serial_sequence({table}, {column}));"
                )));
            }
            statements.extend(column.sequences.iter().map(|sequence| {
                format!("GRANT SELECT, UPDATE ON SEQUENCE {} TO {account}", quote_name(sequence))
            }));
        }
    }
    statements.into_iter().collect()
}

/// Rights on schemas, of tables and of their columns' types, and on tables.
fn grants(rights: &str, account: &str, tables: &[&Table]) -> Vec<String> {
    let of_tables = tables.iter().map(|table| table.name.schema.as_str());
    let columns = tables.iter().flat_map(|table| &table.columns);
    let of_types = columns.flat_map(|column| column.type_schemas.iter().map(String::as_str));
    let schemas: BTreeSet<&str> = of_tables.chain(of_types).collect();
    let usage = schemas
        .iter()
        .map(|schema| format!("GRANT USAGE ON SCHEMA {} TO {account}", quote(schema)));
    let on = |name: &TableName| format!("GRANT {rights} ON {} TO {account}", quote_name(name));
    usage.chain(tables.iter().map(|table| on(&table.name))).collect()
}

/// An anonymous block, quoted by a tag that its body does not hold.
pub(super) fn block(body: &str) -> String {
    let mut tag = "$weir$".to_owned();
    while body.contains(&tag) {
        tag.insert(1, '_');
    }
    format!("DO {tag} BEGIN {body} END {tag}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Dialect, LinkName, Tls};
    use crate::postgres::sql::tests::{assert_golden, every_type, plan};

    fn context() -> LinkContext {
        let link = LinkName { source: "crm".to_owned(), target: "billing".to_owned() };
        LinkContext { name: "prod".to_owned(), link, server_id: 1, installation: String::new() }
    }

    fn database() -> Database {
        Database {
            name: "crm".to_owned(),
            dialect: Dialect::Postgres,
            host: "127.0.0.1".to_owned(),
            port: 5432,
            user: "o'weir".to_owned(),
            database: "sales".to_owned(),
            password: None,
            tls: Tls::off(),
            server_id: None,
            heartbeat: None,
            others: Vec::new(),
            read: None,
            retention_min: crate::config::RETENTION_MIN,
        }
    }

    /// Broken if what an operator is told to run changed without anyone looking.
    #[test]
    fn statements_are_as_reviewed() {
        let orders = plan("orders", every_type(), &[0]).source;
        let mut odd = plan("Odd \"one\"", every_type(), &[0]).source;
        odd.columns[0].auto_increment = true;
        odd.columns[3].auto_increment = true;
        odd.columns[3].sequences = vec![TableName::new("shop", "Odd numbers")];
        let account = quote(&database().user);
        let mut numbered = odd.columns[0].clone();
        numbered.sequences = vec![TableName::new("shop", "Odd numbers")];
        let unfilled = [Unfilled { table: &odd.name, column: &numbered }; 2];
        let parts = [
            ("source", source(&context(), &database(), &account, &[&orders, &odd], false)),
            (
                "source that is written to",
                source(&context(), &database(), &account, &[&orders], true),
            ),
            ("target", target(&account, &[&orders, &odd], &unfilled)),
            ("teardown of the source", teardown_source(&context())),
            ("teardown of the target", teardown_target(&context(), Some("0f"))),
        ];
        let text: String = parts
            .iter()
            .map(|(title, statements)| format!("-- {title}\n{};\n\n", statements.join(";\n")))
            .collect();
        assert_golden("postgres_setup.sql", &text);
    }

    /// Broken if a role's name could end the quoting of a block.
    #[test]
    fn blocks_are_quoted_by_a_tag_of_their_own() {
        assert_eq!(block("x $weir$ y"), "DO $_weir$ BEGIN x $weir$ y END $_weir$");
    }
}
