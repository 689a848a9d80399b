//! The statements that prepare a database for a link and those that undo it, for `weir setup` and
//! `weir teardown` to print or run.
//!
//! Both get the right to see which tables there are. The source gets rights to read its tables and
//! its binary log, and nothing else: there is nothing to make there. The target gets database `weir`
//! with its tables, and rights to write. Every statement may be run again. Grants name the account that the server logs the user in as;
//! `'user'@'%'` where it does not let the user in.

use std::collections::BTreeSet;

use super::session::{self, Role, Session};
use super::sql::{literal, quote, quote_table};
use crate::config::{Database, Dialect};
use crate::error::{Kind, Result};
use crate::link::ports::LinkContext;
use crate::model::{Table, TableName};
use crate::plan::Unfilled;

/// The account of the user, as grants name it. No right on any database is needed to ask.
pub async fn account(database: &Database) -> Result<String> {
    let anywhere = Database { database: String::new(), ..database.clone() };
    let current = match session::connect(&anywhere, "weir setup", Role::Source).await {
        Ok(mut session) => current_user(&mut session).await?,
        Err(error) => {
            tracing::debug!(error = error.chain(), "the user's account cannot be asked for");
            None
        }
    };
    Ok(account_of(&database.user, current))
}

/// The account that a session is logged in as.
pub(super) async fn current_user(session: &mut Session) -> Result<Option<String>> {
    session.text("read the account", "SELECT CURRENT_USER()").await
}

/// Lets the user connect and see which tables there are: of what a user has no right on, the server
/// shows nothing. The right on whole databases is REFERENCES, which shows tables and columns and no
/// row, and by itself lets do nothing: only who may create tables as well can refer to those. In the
/// name of a database that a grant names, `%` and `_` are wildcards.
pub fn entry(database: &Database, account: &str, schemas: &[&str]) -> Vec<String> {
    let literally = |name: &str| name.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%");
    let mut names: Vec<String> = schemas.iter().map(|name| literally(name)).collect();
    names.extend(Some(literally(&database.database)).filter(|name| !name.is_empty()));
    names.sort_unstable();
    names.dedup();
    let on = |name: &String| match name.as_str() {
        "*" => format!("GRANT REFERENCES ON *.* TO {account}"),
        name => format!("GRANT REFERENCES ON {}.* TO {account}", quote(&name.replace('*', "%"))),
    };
    names.iter().map(on).collect()
}

/// Prepares a source: rights to read the binary log and the tables.
pub fn source(
    _: &LinkContext,
    database: &Database,
    account: &str,
    tables: &[&Table],
    _: bool,
) -> Vec<String> {
    let rights = server_rights(database.dialect).join(", ");
    let mut statements = vec![format!("GRANT {rights} ON *.* TO {account}")];
    statements.extend(grants("SELECT", account, tables));
    statements
}

/// Rights on the whole server that a reader of the log needs: to read it, to ask where it ends, and
/// to see whether the server is a replica.
pub(super) fn server_rights(dialect: Dialect) -> &'static [&'static str] {
    match dialect {
        Dialect::Mariadb => &["REPLICATION SLAVE", "BINLOG MONITOR", "SLAVE MONITOR"],
        _ => &["REPLICATION SLAVE", "REPLICATION CLIENT"],
    }
}

/// Prepares a target: database `weir` with its tables, rights to write, and on the sequences of defaults,
/// which MariaDB asks for be the column filled or not; last, a look at what fires by itself.
pub fn target(account: &str, tables: &[&Table], _: &[Unfilled<'_>]) -> Vec<String> {
    let mut statements: Vec<String> = WEIR_TABLES.iter().map(|sql| (*sql).to_owned()).collect();
    for table in ["witness", "missed", "dead_letter", "snapshot", "flagged"] {
        statements
            .push(format!("GRANT SELECT, INSERT, UPDATE, DELETE ON `weir`.`{table}` TO {account}"));
    }
    statements.extend(grants("SELECT, INSERT, UPDATE, DELETE", account, tables));
    let columns = tables.iter().flat_map(|table| &table.columns);
    let sequences: BTreeSet<_> = columns.flat_map(|column| &column.sequences).collect();
    statements.extend(sequences.into_iter().map(|sequence| grant_numbers(sequence, account)));
    statements.extend(triggers(tables));
    statements
}

/// Lets an account take numbers from a sequence.
pub(super) fn grant_numbers(sequence: &TableName, account: &str) -> String {
    format!("GRANT SELECT, INSERT ON {} TO {account}", quote_table(sequence))
}

/// A look at the triggers of the tables, for the administrator who runs what is printed: MySQL shows them
/// only to who may make some, which is more than weir needs. An answer without rows, of which a client
/// prints nothing, says that there is none.
fn triggers(tables: &[&Table]) -> Option<String> {
    let pair = |table: &&Table| {
        format!("({}, {})", literal(&table.name.schema), literal(&table.name.table))
    };
    let pairs: Vec<String> = tables.iter().map(pair).collect();
    (!pairs.is_empty()).then(|| {
        format!(
            "SELECT TRIGGER_NAME AS `trigger that fires on what weir writes: see that it changes no \
             replicated column`, EVENT_OBJECT_SCHEMA AS `database`, EVENT_OBJECT_TABLE AS `table` \
             FROM information_schema.TRIGGERS \
             WHERE (EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE) IN ({})",
            pairs.join(", ")
        )
    })
}

/// Lets the user read tables that steps look into.
pub fn lists(account: &str, tables: &[&Table]) -> Vec<String> {
    grants("SELECT", account, tables)
}

/// Removes what setup and `run` made at the source: nothing.
pub fn teardown_source(_: &LinkContext) -> Vec<String> {
    Vec::new()
}

/// Removes the link's rows from the target's `weir` tables; with `installation` only where no other one
/// wrote the witness.
pub fn teardown_target(context: &LinkContext, installation: Option<&str>) -> Vec<String> {
    let (name, link) = (literal(&context.name), literal(&context.link.to_string()));
    let of_link = format!("`name` = {name} AND `link` = {link}");
    let (own, none_foreign) = match installation.map(literal) {
        Some(id) => (
            format!(" AND `installation` = {id}"),
            format!(
                " AND NOT EXISTS (SELECT 1 FROM `weir`.`witness` WHERE {of_link} \
                 AND `installation` <> {id})"
            ),
        ),
        None => (String::new(), String::new()),
    };
    [
        ("flagged", &none_foreign),
        ("dead_letter", &none_foreign),
        ("missed", &none_foreign),
        ("snapshot", &none_foreign),
        ("witness", &own),
    ]
    .iter()
    .map(|(table, only)| format!("{DELETE_OWN}`{table}` WHERE {of_link}{only}"))
    .collect()
}

/// Runs statements one by one; an error names the statement. No lock on a table is waited for
/// longer than ten seconds, so that the application does not queue up behind weir. Rows of tables
/// that do not exist are as good as deleted.
///
/// # Errors
/// As the server says, with the statement.
pub async fn execute(database: &Database, verb: &str, statements: &[String]) -> Result<()> {
    let mut session = session::connect(database, &format!("weir {verb}"), Role::Target).await?;
    session.run("prepare the session", "SET SESSION lock_wait_timeout = 10").await?;
    for statement in statements {
        match session.run(&format!("run `{statement}`"), statement).await {
            Err(error) if error.kind() == Kind::Mapping && statement.starts_with(DELETE_OWN) => {}
            // The server says of a GRANT what it says of a login.
            Err(error) if matches!(error.kind(), Kind::Privilege | Kind::Authentication) => {
                return Err(error.hint(format!(
                    "run what is printed as an administrator of that server: \
                     `weir {verb} --on {} | mysql …`",
                    database.name
                )));
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

const DELETE_OWN: &str = "DELETE FROM `weir`.";

/// Database `weir` with its tables (DESIGN §4). Names compare byte for byte; positions may be long
/// GTID sets.
const WEIR_TABLES: &[&str] = &[
    "CREATE DATABASE IF NOT EXISTS `weir` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS `weir`.`witness` (\n  \
       `name` varchar(24) NOT NULL,\n  \
       `link` varchar(40) NOT NULL,\n  \
       `part` int unsigned NOT NULL,\n  \
       `installation` char(32) NOT NULL,\n  \
       `seq` bigint unsigned NOT NULL,\n  \
       `position` longtext NOT NULL,\n  \
       `restart` longtext NULL,\n  \
       `hops` int unsigned NOT NULL,\n  \
       `pending` longtext NULL,\n  \
       `source_identity` varchar(255) NOT NULL,\n  \
       `target_identity` varchar(255) NOT NULL,\n  \
       `updated_at` datetime(6) NOT NULL,\n  \
       PRIMARY KEY (`name`, `link`, `part`)\n\
     ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS `weir`.`missed` (\n  \
       `id` bigint unsigned NOT NULL AUTO_INCREMENT,\n  \
       `name` varchar(24) NOT NULL,\n  \
       `link` varchar(40) NOT NULL,\n  \
       `table_name` varchar(255) NOT NULL,\n  \
       `key_values` longtext NOT NULL,\n  \
       `reason` varchar(16) NOT NULL,\n  \
       `noted_at` datetime(6) NOT NULL,\n  \
       PRIMARY KEY (`id`),\n  \
       KEY `name_link` (`name`, `link`)\n\
     ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
    "CREATE TABLE IF NOT EXISTS `weir`.`dead_letter` (\n  \
       `id` bigint unsigned NOT NULL AUTO_INCREMENT,\n  \
       `name` varchar(24) NOT NULL,\n  \
       `link` varchar(40) NOT NULL,\n  \
       `source_table` varchar(255) NOT NULL,\n  \
       `table_name` varchar(255) NOT NULL,\n  \
       `row_name` longtext NOT NULL,\n  \
       `old_row_name` longtext NULL,\n  \
       `operation` varchar(16) NOT NULL,\n  \
       `position` longtext NOT NULL,\n  \
       `ordinal` bigint unsigned NOT NULL,\n  \
       `kind` varchar(40) NOT NULL,\n  \
       `error` longtext NOT NULL,\n  \
       `hint` longtext NOT NULL,\n  \
       `change_values` longtext NOT NULL,\n  \
       `changes` bigint unsigned NOT NULL DEFAULT 1,\n  \
       `attempts` int unsigned NOT NULL,\n  \
       `made_at` datetime(6) NOT NULL,\n  \
       `tried_at` datetime(6) NULL,\n  \
       `asked_at` datetime(6) NULL,\n  \
       PRIMARY KEY (`id`),\n  \
       KEY `row_name` (`name`, `link`, `table_name`, `row_name`(255))\n\
     ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC",
    "CREATE TABLE IF NOT EXISTS `weir`.`snapshot` (\n  \
       `name` varchar(24) NOT NULL,\n  \
       `link` varchar(40) NOT NULL,\n  \
       `table_name` varchar(255) NOT NULL,\n  \
       `progress` longtext NULL,\n  \
       `asked` longtext NULL,\n  \
       PRIMARY KEY (`name`, `link`, `table_name`)\n\
     ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC",
    "CREATE TABLE IF NOT EXISTS `weir`.`flagged` (\n  \
       `id` bigint unsigned NOT NULL AUTO_INCREMENT,\n  \
       `name` varchar(24) NOT NULL,\n  \
       `link` varchar(40) NOT NULL,\n  \
       `source_table` varchar(255) NOT NULL,\n  \
       `table_name` varchar(255) NOT NULL,\n  \
       `row_name` longtext NOT NULL,\n  \
       `kind` varchar(16) NOT NULL,\n  \
       `column_name` varchar(255) NULL,\n  \
       `owner` varchar(16) NOT NULL,\n  \
       `before_value` longtext NULL,\n  \
       `after_value` longtext NULL,\n  \
       `owner_value` longtext NULL,\n  \
       `position` longtext NOT NULL,\n  \
       `ordinal` bigint unsigned NOT NULL,\n  \
       `committed_at` datetime(6) NULL,\n  \
       `made_at` datetime(6) NOT NULL,\n  \
       `state` varchar(16) NOT NULL DEFAULT 'open',\n  \
       `decided_at` datetime(6) NULL,\n  \
       `decided_by` varchar(255) NULL,\n  \
       `note` longtext NULL,\n  \
       PRIMARY KEY (`id`),\n  \
       KEY `place` (`name`, `link`, `position`(1))\n\
     ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin ROW_FORMAT=DYNAMIC",
];

/// The account of a user who is logged in as `current` (`user@host`), as grants name it.
pub(super) fn account_of(user: &str, current: Option<String>) -> String {
    let host = match current.as_deref().and_then(|current| current.rsplit_once('@')) {
        Some((name, host)) if name == user => host,
        _ => "%",
    };
    format!("{}@{}", literal(user), literal(host))
}

fn grants(rights: &str, account: &str, tables: &[&Table]) -> Vec<String> {
    let grant =
        |table: &&Table| format!("GRANT {rights} ON {} TO {account}", quote_table(&table.name));
    tables.iter().map(grant).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a user or table name could end the statement it stands in, or a grant went to
    /// another host than the one the user has.
    #[test]
    fn names_are_quoted_and_accounts_resolved() {
        assert_eq!(account_of("o'hara", None), "'o''hara'@'%'");
        assert_eq!(account_of("weir", Some("weir@10.%".into())), "'weir'@'10.%'");
        assert_eq!(account_of("weir", Some("root@localhost".into())), "'weir'@'%'");
    }

    /// Broken if a grant on `a_b` reached `axb` too, or a pattern of schemas were taken by letter.
    #[test]
    fn entry_grants_name_databases_literally() {
        let url = Database {
            name: "shop".to_owned(),
            dialect: Dialect::Mysql,
            host: "127.0.0.1".to_owned(),
            port: 3306,
            user: "weir".to_owned(),
            database: "a_b".to_owned(),
            password: None,
            tls: crate::config::Tls::off(),
            server_id: None,
            heartbeat: None,
            others: Vec::new(),
            read: None,
            retention_min: crate::config::RETENTION_MIN,
        };
        assert_eq!(
            entry(&url, "'weir'@'%'", &["a_b", "t_*"]),
            [
                "GRANT REFERENCES ON `a\\_b`.* TO 'weir'@'%'",
                "GRANT REFERENCES ON `t\\_%`.* TO 'weir'@'%'"
            ]
        );
    }
}
