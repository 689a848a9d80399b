//! The shape of the configuration files: every section and key, once.
//!
//! Each `section!` declares keys, their kinds and their meaning; the reader, the JSON Schema and
//! the list of known keys all come from it, so they cannot disagree. Values here have the right
//! kind and nothing more: what they mean together is checked in `validate`. Keys of later versions
//! are in `later`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use toml::de::DeValue;

use super::alerts::WebhookFormat;
use super::columns::Columns;
use super::read::{At, Named, Node, OrOff, Period, Read, Reader, Size};
use super::rules::{Conversion, Steps};
use super::settings::{
    self, Deletes, DroppedPartitions, Initial, OnFlagged, OnPoison, Rate, Streaming, TableSeries,
    TlsMode, Truncates,
};

/// Declares a section: a struct of its keys, its reader and its schema.
macro_rules! section {
    (
        $(#[doc = $doc:literal])+
        $name:ident as $section:literal {
            $( $(#[doc = $text:literal])+ $need:ident $field:ident: $type:ty, )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default)]
        pub(crate) struct $name {
            $( $(#[doc = $text])+ pub(crate) $field: Option<At<$type>>, )+
        }

        impl $name {
            /// The keys of this section.
            pub(crate) const KEYS: &'static [&'static str] = &[$(key(stringify!($field)),)+];
        }

        impl Read for $name {
            fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
                let table = reader.table(node, $section)?;
                reader.refuse_other_keys(table, $section, Self::KEYS);
                Some($name {
                    $($field: section!(@$need reader, node, table, key(stringify!($field))),)+
                })
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let mut properties = serde_json::Map::new();
                let mut required: Vec<&str> = Vec::new();
                $(
                    let mut property = generator.subschema_for::<$type>();
                    property.insert("description".into(), text(&[$($text),+]).into());
                    properties.insert(key(stringify!($field)).into(), property.into());
                    if stringify!($need) == "required" {
                        required.push(key(stringify!($field)));
                    }
                )+
                let mut schema = json_schema!({
                    "description": text(&[$($doc),+]),
                    "type": "object",
                    "properties": properties,
                    "additionalProperties": false,
                });
                if !required.is_empty() {
                    schema.insert("required".into(), required.into());
                }
                schema
            }
        }
    };
    (@optional $reader:ident, $node:ident, $table:ident, $key:expr) => {
        $reader.optional($table, $key)
    };
    (@required $reader:ident, $node:ident, $table:ident, $key:expr) => {
        $reader.required($node, $table, $key)
    };
}

/// A field's name as a key: without the mark of a raw identifier.
const fn key(field: &str) -> &str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// Lines of a doc comment as one text.
fn text(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

section! {
    /// The configuration of weir.
    File as "" {
        /// Name of this installation: part of slot names, the witness key and metrics.
        /// `[a-z][a-z0-9_]{0,23}`.
        required name: String,
        /// Directory of checkpoints and the control socket; by default `weir-state` beside this file.
        optional state_dir: String,
        /// Free space below which every link halts, so that its file system does not fill up; "off"
        /// lets it.
        optional state_free_min: OrOff<Size>,
        /// The HTTP endpoint for metrics and health; none without this section.
        optional http: Http,
        /// Which metrics there are.
        optional metrics: Metrics,
        /// Whom weir tells of what needs a person; nobody without this section.
        optional alerts: Alerts,
        /// The databases, each under a name `[a-z][a-z0-9_]{0,15}`.
        required database: Named<Database>,
        /// Options of every link.
        optional apply: Apply,
        /// Options of one direction, `[link.SOURCE.TARGET]`, instead of those in `[apply]`.
        optional link: Named<Named<Apply>>,
        /// Plain one-way replications: every table that matches, owned by the source.
        optional replicate: Vec<At<Replicate>>,
        /// What becomes of values that a target cannot hold; in all tables.
        optional conversion: Conversion,
        /// Tables with names, keys or columns that differ; here or in `tables/*.toml`.
        optional table: Named<Table>,
    }
}

section! {
    /// The HTTP endpoint. It has no verbs that change anything.
    Http as "http" {
        /// Address and port of /metrics, /healthz and /readyz.
        required listen: String,
    }
}

section! {
    /// The metrics at /metrics.
    Metrics as "metrics" {
        /// Which tables have series of their own; the rows of all others count together.
        optional tables: TableSeries,
    }
}

section! {
    /// Whom weir tells of what needs a person, and from when on.
    Alerts as "alerts" {
        /// An HTTP endpoint that is sent every alert.
        optional webhook: Webhook,
        /// Program and arguments, run without a shell, at most 10 s; it reads the alerts as JSON.
        optional command: Vec<At<String>>,
        /// Lag above which a link is told of.
        optional lag_max: OrOff<Period>,
        /// How long a link may try again before it is told of.
        optional retrying_max: OrOff<Period>,
        /// PostgreSQL sources: told of once less than this may be written before the slot is lost.
        optional wal_left_min: OrOff<Size>,
        /// MySQL and MariaDB sources: told of once the file that is read next may be purged sooner.
        optional binlog_left_min: OrOff<Period>,
        /// Told of once the state directory's file system has less free space.
        optional disk_free_min: OrOff<Size>,
    }
}

section! {
    /// An HTTP endpoint that is sent every alert.
    Webhook as "webhook" {
        /// https://… or http://…; where it is a secret itself: { env }, { file } or { command }.
        required url: WebhookUrl,
        /// What is sent: weir's JSON, or what Slack and its like take.
        optional format: WebhookFormat,
        /// Shortest time between two messages about the same of one link; of the command too.
        optional min_interval: Period,
        /// A secret that is sent along, as `Authorization: Bearer …`; read at each try.
        optional token: Password,
        /// Another header that carries the token, as it is.
        optional token_header: String,
        /// File with the certificates (PEM) of the authorities that sign the endpoint's; by default
        /// those that this machine trusts.
        optional tls_ca: String,
    }
}

/// A webhook's url, or where it is found.
#[derive(Clone, Debug)]
pub(crate) enum WebhookUrl {
    Plain(String),
    Secret(Password),
}

impl Read for WebhookUrl {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        match node.get_ref() {
            DeValue::Table(_) => Password::read(node, reader).map(WebhookUrl::Secret),
            _ => String::read(node, reader).map(WebhookUrl::Plain),
        }
    }
}

impl JsonSchema for WebhookUrl {
    fn schema_name() -> Cow<'static, str> {
        "WebhookUrl".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let secret = generator.subschema_for::<Password>();
        json_schema!({ "anyOf": [{ "type": "string" }, secret] })
    }
}

section! {
    /// One database.
    Database as "database" {
        /// mysql://user@host:port/database, mariadb://… or postgres://…; without a password.
        required url: String,
        /// A replica that tables are copied from, to spare the server of `url`; with its user, database,
        /// password and tls where nothing else is written.
        optional read_url: String,
        /// Where the password comes from; read at each connect.
        optional password: Password,
        /// Transport security; by default off on loopback and verify-full elsewhere.
        optional tls: TlsMode,
        /// File with the certificates (PEM) of the authorities that sign the server's; by default
        /// those that this machine trusts.
        optional tls_ca: String,
        /// File with the certificate (PEM) that weir shows to the server, and its chain.
        optional tls_cert: String,
        /// File with the private key (PEM) of `tls_cert`.
        optional tls_key: String,
        /// MySQL and MariaDB: the server id that weir uses as a replica, which must be free in the
        /// whole topology; by default weir chooses one.
        optional server_id: u64,
        /// PostgreSQL: after this long without progress, while the log grows, weir writes a small
        /// message into it; by default never.
        optional heartbeat: Period,
        /// As a source: how long a stop of weir must be able to last without loss of log; `weir check`
        /// fails where the server keeps its log for less.
        optional retention_min: Period,
    }
}

section! {
    /// Where a password comes from: exactly one of these.
    Password as "password" {
        /// Name of an environment variable.
        optional env: String,
        /// Path of a file that others cannot read; its last line break is cut off.
        optional file: String,
        /// Program and arguments, run without a shell, at most 10 s; what it prints is the password.
        optional command: Vec<At<String>>,
    }
}

section! {
    /// Options of a link.
    Apply as "apply" {
        /// Where a new link begins; must be written where tables hold rows on both sides.
        /// "snapshot" copies them first, "now" does not; a place is written in [link.SOURCE.TARGET].
        optional start: Start,
        /// Rows in one batch at most.
        optional batch_rows_max: u64,
        /// Memory of one batch at most.
        optional batch_bytes_max: Size,
        /// Memory of the queue between reading and applying at most.
        optional queue_bytes_max: Size,
        /// Whether a PostgreSQL source may send large transactions before their commit, to be kept
        /// in the state directory until then.
        optional streaming: Streaming,
        /// Disk space for such transactions at most.
        optional spool_bytes_max: Size,
        /// Longest wait for a lock in the target.
        optional lock_timeout: Period,
        /// First wait before a retry; it doubles with each further one.
        optional retry_initial: Period,
        /// Longest wait before a retry.
        optional retry_max: Period,
        /// How often progress without changes is written to the target.
        optional idle_witness_every: Period,
        /// What a change does that the target refuses, or that has no form there.
        optional on_poison: OnPoison,
        /// Rows that may be set aside at a time; one more halts the link.
        optional dead_letters_max: u64,
        /// How fast rows may be set aside; faster halts the link.
        optional dead_letters_rate_max: Rate,
        /// Rows that copies write per second at most; by default as fast as the servers allow.
        optional max_rows_per_second: OrOff<u64>,
        /// Connections that read the source at the same time while tables are copied.
        optional copy_readers: u64,
    }
}

section! {
    /// A place in the source's log, up to which somebody else has copied the rows.
    StartAt as "start" {
        /// MySQL and MariaDB: the GTIDs up to there.
        optional gtid: String,
        /// PostgreSQL: the LSN, as 0/16B3748.
        optional lsn: String,
        /// MySQL and MariaDB: the file of the binary log; together with `pos`.
        optional file: String,
        /// The byte in that file.
        optional pos: u64,
    }
}

section! {
    /// Every matching table, one way, owned by the source.
    Replicate as "replicate" {
        /// Source database.
        required from: String,
        /// Target database.
        required to: String,
        /// Patterns of source tables, `schema.table`, with `*`.
        required tables: Vec<At<String>>,
        /// Patterns of source tables that are left out.
        optional exclude: Vec<At<String>>,
        /// Schema (PostgreSQL) or database (MySQL, MariaDB) on the target; by default as at the source.
        optional into: String,
        /// Other table names on the target, by source table.
        optional rename: Named<String>,
        /// Patterns of columns that are not replicated.
        optional ignore: Vec<At<String>>,
        /// What deletes do.
        optional deletes: Deletes,
        /// What TRUNCATE does.
        optional truncate: Truncates,
        /// PostgreSQL: what a partition does that is dropped or detached.
        optional dropped_partitions: DroppedPartitions,
        /// What a change does that the target refuses, or that has no form there.
        optional on_poison: OnPoison,
        /// Patterns of columns whose values are kept out of records; a hash stands for each.
        optional sensitive: Vec<At<String>>,
    }
}

section! {
    /// One table that is kept in two databases.
    Table as "table" {
        /// The table's name in each database, `schema.table`. With one name, the rest comes from
        /// the [[replicate]] that matches it.
        required r#in: Named<String>,
        /// Columns that match a record across databases; by default the source's primary key.
        optional key: Vec<At<String>>,
        /// Columns that every database numbers itself; never copied.
        optional local: Vec<At<String>>,
        /// The database that is master of the rows, and of the columns that have no owner of their own.
        optional owner: String,
        /// The database that is master of the rows, where it is another one: of which there are.
        optional row_owner: String,
        /// What becomes of the first value of a column that another database owns, which comes with
        /// the insert of the row.
        optional initial: Initial,
        /// What is done about a write by a database that is not the owner.
        optional on_flagged: OnFlagged,
        /// Patterns of columns that are not replicated.
        optional ignore: Vec<At<String>>,
        /// What deletes do.
        optional deletes: Deletes,
        /// What TRUNCATE does.
        optional truncate: Truncates,
        /// PostgreSQL: what a partition does that is dropped or detached.
        optional dropped_partitions: DroppedPartitions,
        /// What a change does that the target refuses, or that has no form there.
        optional on_poison: OnPoison,
        /// Patterns of columns whose values are kept out of records; a hash stands for each.
        optional sensitive: Vec<At<String>>,
        /// What becomes of values that a target cannot hold; instead of what is said for all tables.
        optional conversion: Conversion,
        /// Columns that differ.
        optional column: Columns,
    }
}

section! {
    /// One column.
    Column as "column" {
        /// The column's name in a database where it differs.
        optional r#in: Named<String>,
        /// The database that is master of the column, where the table's owner is not.
        optional owner: String,
        /// What becomes of its first value where another database owns it; instead of what is said
        /// for the table.
        optional initial: Initial,
        /// What is done about a write by a database that is not its owner; instead of what is said
        /// for the table.
        optional on_flagged: OnFlagged,
        /// Whether its values are kept out of records, whatever patterns say.
        optional sensitive: bool,
        /// Steps that its values go through on their way to a database.
        optional to: Named<Steps>,
        /// What becomes of values that a target cannot hold; instead of what is said for the table.
        optional conversion: Conversion,
    }
}

/// Declares the words of a setting, and those of later versions.
macro_rules! words {
    ($name:ident: $($word:literal => $value:expr),+; later $($later:literal),*) => {
        impl Read for $name {
            fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
                word(node, reader, &[$(($word, $value)),+], &[$($later),*])
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
}

words!(WebhookFormat: "json" => WebhookFormat::Json, "slack" => WebhookFormat::Slack; later);
words!(Deletes: "apply" => Deletes::Apply, "ignore" => Deletes::Ignore, "flag" => Deletes::Flag; later);
words!(Truncates: "halt" => Truncates::Halt, "apply" => Truncates::Apply; later);
words!(Initial: "accept" => Initial::Accept, "flag" => Initial::Flag; later);
words!(OnFlagged: "flag" => OnFlagged::Flag, "halt" => OnFlagged::Halt; later "revert");
words!(OnPoison: "park" => OnPoison::Park, "halt" => OnPoison::Halt; later);
words!(Streaming: "on" => Streaming::On, "off" => Streaming::Off; later "parallel");
words!(TableSeries: "top" => TableSeries::Top, "all" => TableSeries::All,
    "none" => TableSeries::None; later);
words!(DroppedPartitions: "halt" => DroppedPartitions::Halt, "keep" => DroppedPartitions::Keep; later);
words!(TlsMode: "off" => TlsMode::Off, "require" => TlsMode::Require,
    "verify-ca" => TlsMode::VerifyCa, "verify-full" => TlsMode::VerifyFull; later);

/// Where a new link begins.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// `now` or `snapshot`.
    Word(settings::Start),
    /// A place in the source's log, in the words of its dialect.
    At(StartAt),
}

impl Read for Start {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        if let DeValue::Table(_) = node.get_ref() {
            return StartAt::read(node, reader).map(Start::At);
        }
        let (now, snapshot) = (settings::Start::Now, settings::Start::Snapshot);
        word(node, reader, &[("now", now), ("snapshot", snapshot)], &[]).map(Start::Word)
    }
}

impl JsonSchema for Start {
    fn schema_name() -> Cow<'static, str> {
        "Start".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let place = generator.subschema_for::<StartAt>();
        json_schema!({ "anyOf": [{ "type": "string", "enum": ["now", "snapshot"] }, place] })
    }
}

/// One of a few words; others are refused, those of later versions by name.
fn word<T: Clone>(
    node: &Node<'_>,
    reader: &mut Reader<'_, '_>,
    words: &[(&str, T)],
    later: &[&str],
) -> Option<T> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let hint = format!("write one of: \"{}\"", known.join("\", \""));
    let DeValue::String(text) = node.get_ref() else {
        reader.mismatch(node, "a word", &hint);
        return None;
    };
    if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
        return Some(value.clone());
    }
    let message = match later.iter().find(|word| *word == text) {
        Some(word) => format!("\"{word}\" is not supported by this version"),
        None => "not one of the known words".to_owned(),
    };
    reader.report.add(reader.place(node), message, hint);
    None
}
