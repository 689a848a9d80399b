//! The validated configuration, as the rest of weir sees it.
//!
//! Values of these types have passed validation: names are well-formed, references resolve, and
//! limits are in range. Secrets are descriptions of where to find a password, read at each connect.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::alerts::Alerts;
use super::url::is_socket;
use crate::model::TableName;
use crate::position::Position;
use crate::transform::rules::{Settings, Step};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Part of slot names, witness key and metrics.
    pub name: String,
    /// Directory of checkpoints and the control socket.
    pub state_dir: PathBuf,
    /// Bytes free on its file system below which every link halts; never when absent.
    pub state_free_min: Option<u64>,
    /// The HTTP endpoint, if any.
    pub http: Option<Http>,
    /// Which tables have metrics of their own.
    pub table_series: TableSeries,
    /// Whom weir tells of what needs a person, if anybody.
    pub alerts: Option<Alerts>,
    /// Databases by name.
    pub databases: BTreeMap<String, Database>,
    /// Plain one-way replications, in file order.
    pub replicates: Vec<Replicate>,
    /// `[conversion]`: what becomes of values that a target cannot hold, in all tables.
    pub conversion: Settings,
    /// Table mappings, by table key, from all files.
    pub tables: Vec<TableMapping>,
    /// `[apply]`: defaults of every link.
    pub apply: ApplyOptions,
    /// `[link.a.b]`: complete options of one direction (defaults filled in from `[apply]`).
    pub links: BTreeMap<LinkName, ApplyOptions>,
}

impl Config {
    /// The options of one direction.
    pub fn options(&self, link: &LinkName) -> &ApplyOptions {
        self.links.get(link).unwrap_or(&self.apply)
    }
}

/// `[http]`.
#[derive(Clone, Debug)]
pub struct Http {
    /// Address of `/metrics`, `/healthz`, `/readyz`.
    pub listen: SocketAddr,
}

/// `tables` of `[metrics]`: which tables have series of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TableSeries {
    /// The first 200 that rows are written to; the others together as `other`.
    #[default]
    Top,
    /// Every one.
    All,
    /// None.
    None,
}

/// The servers weir speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dialect::Postgres => "PostgreSQL",
            Dialect::Mysql => "MySQL",
            Dialect::Mariadb => "MariaDB",
        })
    }
}

/// `[database.<name>]`.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its name in the configuration.
    pub name: String,
    /// From the URL's scheme.
    pub dialect: Dialect,
    /// Host name or address, or the path of a unix socket: of its folder for PostgreSQL, its own for
    /// MySQL and MariaDB.
    pub host: String,
    /// TCP port; part of the name of PostgreSQL's sockets.
    pub port: u16,
    /// Further hosts with their ports, tried in this order after the first.
    pub others: Vec<(String, u16)>,
    /// A replica of it that whole tables are read from, if not it itself.
    pub read: Option<Box<Database>>,
    /// User.
    pub user: String,
    /// Database to connect to.
    pub database: String,
    /// Where the password comes from; read at each connect.
    pub password: Option<Secret>,
    /// Transport security.
    pub tls: Tls,
    /// MySQL/MariaDB: the server id weir uses as a replica; chosen by weir when absent.
    pub server_id: Option<u32>,
    /// PostgreSQL: how long the position may stand still while the log grows before weir writes a
    /// message into the log; never when absent.
    pub heartbeat: Option<Duration>,
    /// How long a stop of weir must be able to last at least without loss of log at this source.
    pub retention_min: Duration,
}

/// [`Database::retention_min`] where nothing is written.
pub const RETENTION_MIN: Duration = Duration::from_secs(24 * 3600);

impl Database {
    /// Where it listens, for messages: `127.0.0.1:5432`, `/run/postgresql:5432`, `/run/mysqld/sock`,
    /// `db1:5432,db2:5432`.
    pub fn listens_at(&self) -> String {
        if !self.others.is_empty() {
            return self.hosts().map(|one| one.listens_at()).collect::<Vec<_>>().join(",");
        }
        match (self.dialect, is_socket(&self.host)) {
            (Dialect::Mysql | Dialect::Mariadb, true) => self.host.clone(),
            _ => format!("{}:{}", self.host, self.port),
        }
    }

    /// The same database at each of its hosts alone, in the order in which they are tried.
    pub fn hosts(&self) -> impl Iterator<Item = Database> + '_ {
        let first = (&self.host, self.port);
        let others = self.others.iter().map(|(host, port)| (host, *port));
        [first].into_iter().chain(others).map(|(host, port)| Database {
            host: host.clone(),
            port,
            others: Vec::new(),
            ..self.clone()
        })
    }
}

/// Where a secret comes from. Never holds the secret itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file, read at each connect; its last line break is not part of the secret.
    File(PathBuf),
    /// A command, run at each connect, whose standard output is the secret; at most 10 s.
    Command(Vec<String>),
}

/// Transport security of a database. The files are read at each connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// `tls`.
    pub mode: TlsMode,
    /// `tls_ca`: certificates of the authorities that are trusted; by default the machine's own.
    pub ca: Option<PathBuf>,
    /// `tls_cert` and `tls_key`: the certificate that weir shows, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// No TLS.
    pub fn off() -> Tls {
        Tls { mode: TlsMode::Off, ca: None, identity: None }
    }
}

/// `tls` of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// No TLS: the default on loopback; must be written elsewhere.
    Off,
    /// Encrypted, whoever answers.
    Require,
    /// The server's certificate is signed by an authority that is trusted.
    VerifyCa,
    /// The same, and it names the host of the URL: the default away from loopback.
    VerifyFull,
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsMode::Off => "off",
            TlsMode::Require => "require",
            TlsMode::VerifyCa => "verify-ca",
            TlsMode::VerifyFull => "verify-full",
        })
    }
}

/// One direction, `source:target`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkName {
    /// Source database's name.
    pub source: String,
    /// Target database's name.
    pub target: String,
}

impl LinkName {
    /// What tells the link's slot and publication from those of other links. Two links may have the
    /// same one, so a configuration with both is refused.
    pub fn slot_suffix(&self) -> String {
        format!("{}_{}", self.source, self.target)
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.source, self.target)
    }
}

/// `[[replicate]]`: every matching table, one way, owned by the source.
#[derive(Clone, Debug)]
pub struct Replicate {
    /// Source database.
    pub from: String,
    /// Target database.
    pub to: String,
    /// Table patterns `schema.table` with `*`.
    pub tables: Vec<String>,
    /// Patterns left out.
    pub exclude: Vec<String>,
    /// Schema or database on the target; by default the source's schema name, `public` and the
    /// source's own database name meaning the target's default place.
    pub into: Option<String>,
    /// Other table names on the target, by source `schema.table`.
    pub rename: BTreeMap<TableName, String>,
    /// Column patterns that are not replicated.
    pub ignore: Vec<String>,
    /// What deletes do.
    pub deletes: Deletes,
    /// What TRUNCATE does.
    pub truncate: Truncates,
    /// What a partition that is dropped or detached does.
    pub dropped_partitions: DroppedPartitions,
    /// What a change does that the target refuses; `None`: as the link's options say.
    pub on_poison: Option<OnPoison>,
    /// Patterns of columns whose values are kept out of records.
    pub sensitive: Vec<String>,
    /// Where it stands, `weir.toml:12`, for messages.
    pub at: String,
}

/// `[table.<name>]`: one table of several databases, and who is master of what in it.
#[derive(Clone, Debug)]
pub struct TableMapping {
    /// Its name in the configuration.
    pub name: String,
    /// The table's name per database.
    pub addresses: BTreeMap<String, TableName>,
    /// Match key; by default the source's primary key.
    pub key: Option<Vec<String>>,
    /// Columns every database numbers itself; never copied.
    pub local: Vec<String>,
    /// Owner of the rows and every column that has none of its own. `None`: from the `[[replicate]]`
    /// that matches it.
    pub owner: Option<String>,
    /// Owner of the rows, where it is another one.
    pub row_owner: Option<String>,
    /// Owners of columns that have one of their own: logical name → database.
    pub column_owners: BTreeMap<String, String>,
    /// What becomes of the first value of a column that another database owns.
    pub initial: Initial,
    /// The same of columns, by logical name.
    pub column_initials: BTreeMap<String, Initial>,
    /// What is done about a write by a database that is not the owner.
    pub on_flagged: OnFlagged,
    /// The same of columns, by logical name.
    pub column_on_flagged: BTreeMap<String, OnFlagged>,
    /// Column patterns that are not replicated.
    pub ignore: Vec<String>,
    /// Column names that differ: logical name → database → name.
    pub columns: BTreeMap<String, BTreeMap<String, String>>,
    /// What deletes do; `None`: as the `[[replicate]]` says, else apply.
    pub deletes: Option<Deletes>,
    /// What TRUNCATE does; `None`: as the `[[replicate]]` says, else halt.
    pub truncate: Option<Truncates>,
    /// What a partition that is dropped or detached does; `None`: as the `[[replicate]]` says, else
    /// halt.
    pub dropped_partitions: Option<DroppedPartitions>,
    /// What a change does that the target refuses; `None`: as the `[[replicate]]` says, else as the
    /// link's options do.
    pub on_poison: Option<OnPoison>,
    /// Patterns of columns whose values are kept out of records.
    pub sensitive: Vec<String>,
    /// Columns by logical name whose values are kept out of records, or are not, whatever patterns say.
    pub sensitive_columns: BTreeMap<String, bool>,
    /// What becomes of values that a target cannot hold, where the table says it.
    pub conversion: Settings,
    /// The same of columns, by logical name.
    pub column_conversions: BTreeMap<String, Settings>,
    /// Steps of columns: logical name → target database → steps.
    pub steps: BTreeMap<String, BTreeMap<String, Vec<Step>>>,
    /// Where it stands, for messages.
    pub at: String,
}

impl TableMapping {
    /// The database that is master of the existence of rows, where the mapping says it.
    pub fn owner_of_rows(&self) -> Option<&str> {
        self.row_owner.as_deref().or(self.owner.as_deref())
    }

    /// The database that is master of a column, by its logical name, where the mapping says it.
    pub fn owner_of(&self, column: &str) -> Option<&str> {
        self.column_owners.get(column).map(String::as_str).or(self.owner.as_deref())
    }

    /// The databases that are master of something in the table, as far as the mapping says it; some may
    /// come twice.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        let named = [&self.owner, &self.row_owner].into_iter().flatten();
        named.chain(self.column_owners.values()).map(String::as_str)
    }

    /// Whether more than one database is master of something in the table.
    pub fn is_shared(&self) -> bool {
        let first = self.owners().next();
        self.owners().any(|owner| Some(owner) != first)
    }

    /// What becomes of the first value of a column that another database owns.
    pub fn initial_of(&self, column: &str) -> Initial {
        self.column_initials.get(column).copied().unwrap_or(self.initial)
    }

    /// What is done about a write of a column by a database that is not its owner.
    pub fn on_flagged_of(&self, column: &str) -> OnFlagged {
        self.column_on_flagged.get(column).copied().unwrap_or(self.on_flagged)
    }
}

/// `initial`: the first value of a column that another database owns comes with the insert of the row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Initial {
    /// The owner takes it, as its own from then on.
    #[default]
    Accept,
    /// It is left out and flagged.
    Flag,
}

/// `on_flagged`: what is done about a write by a database that is not the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFlagged {
    /// It is left out and recorded.
    #[default]
    Flag,
    /// The same, and the owner's value is written back.
    Revert,
    /// The link halts before it.
    Halt,
}

/// `deletes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletes {
    /// Deleted on the target too.
    Apply,
    /// Kept on the target.
    Ignore,
    /// Kept on the target, and recorded.
    Flag,
}

/// `truncate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncates {
    /// The link halts.
    Halt,
    /// All rows of the target table are deleted.
    Apply,
}

/// `on_poison`: what a change does that the target refuses, or that has no form there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnPoison {
    /// It is set aside as a dead letter, and with it all later changes of its row; others go on.
    #[default]
    Park,
    /// The link halts.
    Halt,
}

/// So many in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In this time.
    pub period: Duration,
}

/// `dropped_partitions`: the log does not tell which rows went with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DroppedPartitions {
    /// The link halts.
    Halt,
    /// Its rows stay on the target.
    Keep,
}

/// `start`: where a new link begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// From the log's present end: rows that are there already are not copied.
    Now,
    /// The same, and what is there already is copied.
    Snapshot,
    /// After a given place in the log: somebody else has copied the rows as they were there.
    At(Position),
}

/// `streaming`: whether PostgreSQL may send large transactions before their commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streaming {
    /// They are kept in the state directory until they commit.
    On,
    /// The server keeps them.
    Off,
}

/// `[apply]` and `[link.a.b]`.
#[derive(Clone, Debug)]
pub struct ApplyOptions {
    /// Where a new link begins; must be written where tables hold rows on both sides.
    pub start: Option<Start>,
    /// Rows per batch at most.
    pub batch_rows_max: usize,
    /// Memory per batch at most, in bytes.
    pub batch_bytes_max: usize,
    /// Memory of the queue between capture and apply at most, in bytes.
    pub queue_bytes_max: usize,
    /// Whether PostgreSQL may send large transactions before their commit.
    pub streaming: Streaming,
    /// Disk space for those at most, in bytes.
    pub spool_bytes_max: usize,
    /// Longest wait for a lock on the target.
    pub lock_timeout: Duration,
    /// First wait of the exponential backoff.
    pub retry_initial: Duration,
    /// Longest wait of the exponential backoff.
    pub retry_max: Duration,
    /// Idle progress is written to the witness this often.
    pub idle_witness_every: Duration,
    /// What a change does that the target refuses, where its table does not say.
    pub on_poison: OnPoison,
    /// Rows that may be set aside at a time.
    pub dead_letters_max: u64,
    /// How fast rows may be set aside.
    pub dead_letters_rate_max: Rate,
    /// Rows that copies write per second at most; as fast as the servers allow when absent.
    pub max_rows_per_second: Option<u32>,
    /// Connections that read copies at the same time.
    pub copy_readers: usize,
}
