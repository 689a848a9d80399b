//! The catalog of MySQL and MariaDB as [`Table`]s: base tables of the selected patterns with
//! columns, unique indexes, foreign keys, and what the row images will hold.
//!
//! Reads `information_schema`, a fixed number of queries per database (schema) however many tables it
//! has; only rules of foreign keys that it hides from a reader are asked for table by table. What matches a pattern but is no plain table (view, sequence) is returned with a reason, so that it is refused by name. Tables of the server and of
//! `weir` are never returned. Where the server does not tell names by case
//! (`lower_case_table_names`), neither do the patterns. Nothing is judged here: the planner decides
//! what can cross.
//! Source: MySQL and MariaDB manuals, "INFORMATION_SCHEMA Tables".

mod defaults;
mod extras;
mod foreign_keys;
mod formula;
mod sequences;
mod types;
mod versioned;

pub(super) use foreign_keys::rule;
pub(super) use types::set_labels;

use std::collections::{BTreeMap, HashMap, HashSet};

use super::history;
use super::session::{self, Flavor, Role, Session};
use super::sql::{is_system, literal, quote_table};
use crate::config::pattern::matches_name;
use crate::config::{Database, Dialect};
use crate::error::{Error, Kind, Result};
use crate::link::ports::Selection;
use crate::model::{Column, Extras, Identity, Table, TableName, Type, Unique};
use types::Described;

/// How catalog sessions show in the process list.
const APPLICATION: &str = "weir catalog";

/// Tables are named one by one in a query up to this number; above it, the whole schema is read.
const NAMES_MAX: usize = 200;

type Texts = Vec<Vec<Option<String>>>;

/// Reads the selected tables, ordered by name. The session itself refuses a server of the other
/// dialect.
///
/// # Errors
/// `Internal` for a PostgreSQL dialect, and whatever the server says.
pub async fn load(
    database: &Database,
    dialect: Dialect,
    selection: &Selection,
) -> Result<Vec<Table>> {
    if dialect == Dialect::Postgres {
        let context = format!("database `{}`: asked for a {dialect} catalog", database.name);
        return Err(Error::new(Kind::Internal, context));
    }
    let mut session = session::connect(database, APPLICATION, Role::Source).await?;
    read(&mut session, selection).await
}

/// Whether the server takes writes.
///
/// # Errors
/// As [`session::connect`].
pub async fn takes_writes(database: &Database) -> Result<bool> {
    let mut session = session::connect(database, APPLICATION, Role::Source).await?;
    let what = "ask whether the server takes writes";
    let read_only = session.text(what, "SELECT @@GLOBAL.read_only").await?;
    Ok(matches!(read_only.as_deref(), Some("0" | "OFF")))
}

/// The server's version text, to see that it can be reached.
///
/// # Errors
/// As [`session::connect`].
pub async fn version(database: &Database) -> Result<String> {
    let session = session::connect(database, APPLICATION, Role::Source).await?;
    Ok(session.version_text().to_owned())
}

/// No table has this name: whether the user would see one.
const NO_TABLE: &str = "weir looks whether it may see tables";

/// Which of `schemas` (patterns with `*`) hide their tables from the user. A pattern does where no
/// table of it is seen.
///
/// # Errors
/// As the server says; `Privilege` where it does not let the user into the url's database.
pub async fn hidden<'a>(database: &Database, schemas: &[&'a str]) -> Result<Vec<&'a str>> {
    let mut session = session::connect(database, APPLICATION, Role::Source).await?;
    hidden_from(&mut session, schemas).await
}

/// The same in a session that is there.
pub(super) async fn hidden_from<'a>(
    session: &mut Session,
    schemas: &[&'a str],
) -> Result<Vec<&'a str>> {
    const WHAT: &str = "look whether tables may be seen";
    let mut hidden = Vec::new();
    for schema in schemas {
        if schema.contains('*') {
            let sql = "SELECT DISTINCT TABLE_SCHEMA FROM information_schema.TABLES";
            let seen = first_column(session.texts(WHAT, sql).await?);
            if !seen.iter().any(|one| matches_name(schema, one)) {
                hidden.push(*schema);
            }
            continue;
        }
        // A user who would see a table is told that there is none; any other, that he may not ask.
        let sql = format!("SHOW CREATE TABLE {}", quote_table(&TableName::new(*schema, NO_TABLE)));
        match session.texts(WHAT, &sql).await {
            Err(error) if error.kind() == Kind::Privilege => hidden.push(*schema),
            Err(error) if error.kind() == Kind::Mapping => {}
            looked => drop(looked?),
        }
    }
    Ok(hidden)
}

/// Which of `tables` hold at least one row.
///
/// # Errors
/// As the server says.
pub async fn non_empty(database: &Database, tables: &[TableName]) -> Result<Vec<TableName>> {
    let mut session = session::connect(database, APPLICATION, Role::Source).await?;
    let limits = "SET SESSION lock_wait_timeout = 10, innodb_lock_wait_timeout = 10";
    session.run("bound the waits for locks", limits).await?;
    let mut found = Vec::new();
    for table in tables {
        // A plain read would pass over a row whose commit is in the log and not yet to be seen.
        let sql = format!("SELECT 1 FROM {} LIMIT 1 LOCK IN SHARE MODE", quote_table(table));
        if session.text(&format!("look for rows of {table}"), &sql).await?.is_some() {
            found.push(table.clone());
        }
    }
    Ok(found)
}

/// Collations of the text columns of a table, by column position; for statements on text keys.
///
/// # Errors
/// As the server says.
pub(crate) async fn collations(
    session: &mut Session,
    table: &Table,
) -> Result<Vec<Option<String>>> {
    let sql = format!(
        "SELECT COLUMN_NAME, COLLATION_NAME FROM information_schema.COLUMNS \
         WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        literal(&table.name.schema),
        literal(&table.name.table)
    );
    let mut found = HashMap::new();
    for row in session.texts(&format!("read the collations of {}", table.name), &sql).await? {
        if let [Some(column), collation] = row.as_slice() {
            found.insert(column.clone(), collation.clone());
        }
    }
    Ok(table.columns.iter().map(|column| found.remove(&column.name).flatten()).collect())
}

/// Which columns before images hold (`binlog_row_image`).
/// Source: MySQL and MariaDB manuals, "binlog_row_image".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowImage {
    /// All of them.
    Full,
    /// The columns that tell the row from others.
    Minimal,
    /// As `Minimal`, and all that are no BLOB, TEXT or like them.
    NoBlob,
}

impl RowImage {
    fn of(setting: &str) -> RowImage {
        match setting.to_ascii_uppercase().as_str() {
            // FULL_NODUP of MariaDB 11.4 shortens after images only.
            "FULL" | "FULL_NODUP" => RowImage::Full,
            "NOBLOB" => RowImage::NoBlob,
            _ => RowImage::Minimal,
        }
    }

    /// What before images of `table` are sure to hold. Without a primary key a unique index without
    /// NULL takes its place, one of them where there are several; without either, it is the whole row.
    fn identity(self, table: &Table) -> Identity {
        if self == RowImage::Full {
            return Identity::Full;
        }
        let column = |at: &usize| table.columns.get(*at);
        let never_null = |one: &&Unique| {
            !one.columns.is_empty()
                && one.columns.iter().all(|at| column(at).is_some_and(|one| !one.nullable))
        };
        let key: Vec<usize> = match table.primary_key() {
            Some(key) => key.to_vec(),
            // A prefix index is not among the unique indexes, but the server may choose it.
            None if !table.odd_unique_indexes.is_empty() => Vec::new(),
            None => {
                let mut candidates = table.uniques.iter().filter(never_null);
                let Some(first) = candidates.next() else { return Identity::Full };
                let all = candidates.map(|one| &one.columns).collect::<Vec<_>>();
                let in_all = |at: &&usize| all.iter().all(|columns| columns.contains(at));
                first.columns.iter().filter(in_all).copied().collect()
            }
        };
        let short = |at: &usize| {
            self == RowImage::NoBlob && column(at).is_some_and(|column| !is_long(&column.native))
        };
        let known = |at: &usize| key.contains(at) || short(at);
        Identity::Columns((0..table.columns.len()).filter(known).collect())
    }
}

/// Whether NOBLOB leaves a column of this native type out.
fn is_long(native: &str) -> bool {
    const LONG: [&str; 6] = ["text", "blob", "json", "geom", "vector", "compressed"];
    const SHAPES: [&str; 4] = ["point", "linestring", "polygon", "geometrycollection"];
    LONG.iter().chain(&SHAPES).any(|long| native.contains(long))
}

/// What holds for every table of the server.
struct Server {
    flavor: Flavor,
    image: RowImage,
    folds_names: bool,
    /// What foreign keys do is in the log.
    logs_cascades: bool,
    transactional: HashSet<String>,
    /// Collations that compare byte for byte, without padding.
    exact: HashSet<String>,
}

async fn read(session: &mut Session, selection: &Selection) -> Result<Vec<Table>> {
    let server = read_server(session).await?;
    let mut schemas: BTreeMap<String, Vec<Table>> = BTreeMap::new();
    for table in read_names(session, &server, selection).await? {
        schemas.entry(table.name.schema.clone()).or_default().push(table);
    }
    let mut all = Vec::new();
    for (schema, mut tables) in schemas {
        read_columns(session, &server, &schema, &mut tables).await?;
        read_uniques(session, &schema, &mut tables).await?;
        extras::complete(session, server.flavor, &schema, &mut tables).await?;
        foreign_keys::read(session, &schema, server.logs_cascades, &mut tables).await?;
        for table in &mut tables {
            table.identity = server.image.identity(table);
        }
        all.extend(tables);
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

async fn read_server(session: &mut Session) -> Result<Server> {
    const WHAT: &str = "read the server's settings";
    let settings = "SELECT @@GLOBAL.binlog_row_image, @@lower_case_table_names";
    let row = session.texts(WHAT, settings).await?.pop().unwrap_or_default();
    let setting = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let (image, folding) = (setting(0), setting(1));
    let flavor = session.flavor();
    let exact = match flavor {
        Flavor::Mysql => {
            "SELECT COLLATION_NAME FROM information_schema.COLLATIONS \
             WHERE PAD_ATTRIBUTE = 'NO PAD' AND COLLATION_NAME LIKE '%\\_bin'"
        }
        Flavor::Mariadb => {
            "SELECT COLLATION_NAME FROM information_schema.COLLATIONS \
             WHERE COLLATION_NAME LIKE '%\\_nopad\\_bin'"
        }
    };
    let engines = "SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'";
    Ok(Server {
        flavor,
        image: RowImage::of(&image),
        folds_names: folding != "0",
        logs_cascades: history::logs_cascades(session).await?,
        transactional: first_column(session.texts(WHAT, engines).await?),
        exact: first_column(session.texts(WHAT, exact).await?),
    })
}

fn first_column(rows: Texts) -> HashSet<String> {
    rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
}

/// The selected tables, still without columns.
async fn read_names(
    session: &mut Session,
    server: &Server,
    selection: &Selection,
) -> Result<Vec<Table>> {
    let sql = "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, TABLE_COMMENT \
               FROM information_schema.TABLES \
               WHERE TABLE_SCHEMA NOT IN \
               ('mysql', 'information_schema', 'performance_schema', 'sys', 'weir')";
    let folded = selection.folded();
    let mut tables = Vec::new();
    for row in session.texts("list the tables", sql).await? {
        let mut fields = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || fields.next().unwrap_or_default();
        let (name, kind, engine) = (TableName::new(next(), next()), next(), next());
        let comment = Some(next()).filter(|text| !text.is_empty());
        let (selection, asked) = match server.folds_names {
            false => (selection, name.clone()),
            true => (&folded, name.folded()),
        };
        let no_table = ["VIEW", "SYSTEM VIEW", "SEQUENCE"].contains(&kind.as_str());
        let wanted = if no_table { selection.names(&asked) } else { selection.matches(&asked) };
        if !wanted || is_system(&name.schema) {
            continue;
        }
        tables.push(Table {
            name,
            columns: Vec::new(),
            uniques: Vec::new(),
            odd_unique_indexes: Vec::new(),
            identity: Identity::Nothing,
            foreign_keys: Vec::new(),
            transactional: server.transactional.contains(&engine),
            unsupported: unsupported(&kind),
            partitions: Vec::new(),
            extras: Extras { comment, ..Extras::default() },
        });
    }
    Ok(tables)
}

/// Why a table of this `TABLE_TYPE` cannot be replicated as a plain one.
fn unsupported(kind: &str) -> Option<String> {
    Some(match kind {
        "BASE TABLE" | "SYSTEM VERSIONED" => return None,
        "VIEW" | "SYSTEM VIEW" => "it is a view".to_owned(),
        "SEQUENCE" => "it is a sequence".to_owned(),
        other => format!("it is of the kind {}", other.to_lowercase()),
    })
}

/// A condition for the tables of one schema, by the names of the table column.
fn of_tables(schema_column: &str, schema: &str, table_column: &str, tables: &[Table]) -> String {
    let mut condition = format!("{schema_column} = {}", literal(schema));
    if tables.len() <= NAMES_MAX {
        let names: Vec<String> = tables.iter().map(|table| literal(&table.name.table)).collect();
        condition.push_str(&format!(" AND {table_column} IN ({})", names.join(", ")));
    }
    condition
}

/// Positions of the tables by name.
fn positions(tables: &[Table]) -> HashMap<String, usize> {
    tables.iter().enumerate().map(|(at, table)| (table.name.table.clone(), at)).collect()
}

async fn read_columns(
    session: &mut Session,
    server: &Server,
    schema: &str,
    tables: &mut [Table],
) -> Result<()> {
    let documents = match server.flavor {
        Flavor::Mysql => HashSet::new(),
        Flavor::Mariadb => read_json_checks(session, schema, tables).await?,
    };
    let sql = format!(
        "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_TYPE, DATA_TYPE, CHARACTER_SET_NAME, \
         COLLATION_NAME, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, CHARACTER_MAXIMUM_LENGTH, \
         NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION, COLUMN_COMMENT, \
         GENERATION_EXPRESSION, {} FROM information_schema.COLUMNS \
         WHERE {} ORDER BY TABLE_NAME, ORDINAL_POSITION",
        match server.flavor {
            Flavor::Mysql => "SRS_ID",
            Flavor::Mariadb => "NULL",
        },
        of_tables("TABLE_SCHEMA", schema, "TABLE_NAME", tables)
    );
    let at = positions(tables);
    for row in session.texts("read the columns", &sql).await? {
        let Some(table) = row.first().cloned().flatten().and_then(|name| at.get(&name)) else {
            continue;
        };
        let Some(table) = tables.get_mut(*table) else { continue };
        let column = column(server, &documents, &row);
        table.columns.push(column);
    }
    versioned::complete(session, server.flavor, schema, tables).await
}

/// One row of the query of [`read_columns`] as a column.
fn column(
    server: &Server,
    documents: &HashSet<(String, String)>,
    row: &[Option<String>],
) -> Column {
    let field = |at: usize| row.get(at).and_then(Option::as_deref);
    let number = |at: usize| field(at).and_then(|text| text.parse::<u64>().ok());
    let text = |at: usize| field(at).unwrap_or_default();
    let name = text(1).to_owned();
    let described = Described {
        column_type: text(2),
        data_type: text(3),
        charset: field(4),
        length: number(9),
        precision: number(10),
        scale: number(11),
        digits: number(12),
        document: documents.contains(&(text(0).to_owned(), name.clone())),
        srid: number(15).and_then(|srid| u32::try_from(srid).ok()),
    };
    let (ty, native) = types::logical(&described);
    let extra = text(8).to_lowercase();
    let auto_increment = extra.contains("auto_increment");
    // MariaDB shows the default of a nullable column without one as the word NULL.
    let defaulted = match (server.flavor, field(7)) {
        (_, None) | (Flavor::Mariadb, Some("NULL")) => false,
        (_, Some(_)) => true,
    };
    let is_labelled = matches!(text(3), "enum" | "set");
    let is_text = matches!(ty, Type::Char { .. } | Type::Text { .. });
    // CHAR never keeps trailing blanks, so that padding makes no two values equal there.
    let exact = |name: &str| match ty {
        Type::Char { .. } => name.ends_with("_bin"),
        _ => server.exact.contains(name),
    };
    let generated = ["virtual generated", "stored generated", "persistent generated"]
        .iter()
        .any(|kind| extra.contains(kind));
    Column {
        exact_collation: !is_text || field(5).is_some_and(exact),
        charset: field(4).filter(|_| is_text || is_labelled).map(str::to_owned),
        default: defaults::of(server.flavor, field(7), &extra, &ty).filter(|_| !generated),
        comment: field(13).filter(|text| !text.is_empty()).map(str::to_owned),
        name,
        ty,
        native,
        nullable: text(6) == "YES",
        generated,
        formula: field(14).filter(|_| generated).and_then(|text| formula::of(server.flavor, text)),
        row_end: field(14) == Some(versioned::ROW_END),
        sequences: field(7).map(sequences::of_default).unwrap_or_default(),
        has_default: defaulted || auto_increment || extra.contains("default_generated"),
        type_schemas: Vec::new(),
        auto_increment,
        on_update_now: extra.contains("on update"),
    }
}

/// MariaDB: the (table, column) pairs that a check says are JSON.
async fn read_json_checks(
    session: &mut Session,
    schema: &str,
    tables: &[Table],
) -> Result<HashSet<(String, String)>> {
    let sql = format!(
        "SELECT TABLE_NAME, CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE {}",
        of_tables("CONSTRAINT_SCHEMA", schema, "TABLE_NAME", tables)
    );
    let mut found = HashSet::new();
    for row in session.texts("read the checks", &sql).await? {
        if let [Some(table), Some(clause)] = row.as_slice()
            && let Some(column) = types::json_checked(clause)
        {
            found.insert((table.clone(), column));
        }
    }
    Ok(found)
}

async fn read_uniques(session: &mut Session, schema: &str, tables: &mut [Table]) -> Result<()> {
    let sql = format!(
        "SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS \
         WHERE NON_UNIQUE = 0 AND {} ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX",
        of_tables("TABLE_SCHEMA", schema, "TABLE_NAME", tables)
    );
    let mut indexes: BTreeMap<(String, String), Vec<Option<String>>> = BTreeMap::new();
    for row in session.texts("read the unique indexes", &sql).await? {
        if let [Some(table), Some(index), column, prefix] = row.as_slice() {
            // An index over an expression has no column; a prefix index is not over the column.
            let plain = column.clone().filter(|_| prefix.is_none());
            indexes.entry((table.clone(), index.clone())).or_default().push(plain);
        }
    }
    let at = positions(tables);
    for ((table, name), columns) in indexes {
        let Some(table) = at.get(&table).and_then(|at| tables.get_mut(*at)) else { continue };
        let columns: Option<Vec<usize>> =
            columns.iter().map(|column| table.column_index(column.as_deref()?)).collect();
        match columns {
            Some(mut columns) => {
                // The key that was declared: the server adds the end of a row's time to it.
                columns.retain(|at| table.columns.get(*at).is_some_and(|column| !column.row_end));
                let primary = name == "PRIMARY";
                table.uniques.push(Unique { name, columns, primary });
            }
            None => table.odd_unique_indexes.push(name),
        }
    }
    Ok(())
}
