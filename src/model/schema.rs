//! Tables as a catalog or the log describes them, with logical column types.
//!
//! The rooms fill these from their catalogs; the planner compares them. A type weir cannot carry
//! yet is [`Type::Unsupported`] and keeps its native name, so that it is refused by that name at
//! plan time.

use std::fmt;

use crate::model::formula::Formula;
use crate::model::shape::Shape;

/// A table's name: PostgreSQL schema or MySQL/MariaDB database, and table. Byte for byte as in the
/// catalog; never folded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// PostgreSQL schema, or MySQL/MariaDB database.
    pub schema: String,
    /// Table.
    pub table: String,
}

impl TableName {
    /// A name of its two parts.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        TableName { schema: schema.into(), table: table.into() }
    }

    /// In lower case, for a server that does not tell names apart by case.
    #[must_use]
    pub fn folded(&self) -> Self {
        TableName::new(self.schema.to_lowercase(), self.table.to_lowercase())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.table)
    }
}

/// A column's logical type with the limits that the fit check needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// `boolean`; MySQL/MariaDB `TINYINT(1)` signed and `BIT(1)`.
    Bool,
    /// An integer of `bits` (8, 16, 24, 32, 64).
    Int {
        /// Width: 8, 16, 24, 32 or 64.
        bits: u8,
        /// Without sign.
        unsigned: bool,
    },
    /// A decimal; `None` is PostgreSQL's unconstrained `numeric`.
    Decimal(Option<DecimalSize>),
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// `char(n)`: blank-padded text of at most `n` characters.
    Char {
        /// Characters.
        chars: u32,
    },
    /// `varchar(n)` (characters) or a text type (bytes); limits `None` where there is none.
    Text {
        /// Limit in characters.
        chars: Option<u32>,
        /// Limit in bytes (TINYTEXT … LONGTEXT).
        bytes: Option<u64>,
    },
    /// `BINARY(n)`: bytes padded with 0x00 to `n`.
    Binary {
        /// Bytes.
        bytes: u32,
    },
    /// Bytes with an upper limit.
    Bytes {
        /// Limit in bytes; `None` for PostgreSQL bytea.
        bytes: Option<u64>,
    },
    /// A calendar date.
    Date,
    /// A time of day (PostgreSQL) or a signed duration up to 838:59:59 (MySQL/MariaDB).
    Time {
        /// Fraction digits, 0 ..= 6.
        digits: u8,
    },
    /// A wall clock without zone: PostgreSQL `timestamp`, MySQL/MariaDB `DATETIME`.
    Timestamp {
        /// Fraction digits, 0 ..= 6.
        digits: u8,
    },
    /// A moment: PostgreSQL `timestamptz`, MySQL/MariaDB `TIMESTAMP`.
    Instant {
        /// Fraction digits, 0 ..= 6.
        digits: u8,
    },
    /// `YEAR` of MySQL/MariaDB.
    Year,
    /// A UUID type (PostgreSQL, MariaDB).
    Uuid,
    /// A JSON type.
    Json(JsonKind),
    /// An enum with its labels in order.
    Enum {
        /// Labels in definition order.
        labels: Vec<String>,
    },
    /// A type that only its dialect has. It crosses into the same one as it is, and elsewhere by what it
    /// is made of.
    Native {
        /// Its name without limits; with its schema where it is not built in.
        name: String,
        /// Its limits, as the server codes them.
        modifier: i32,
        /// What its values are made of, for servers that lack it.
        shape: Shape,
    },
    /// A type weir does not carry yet; refused at plan time by [`Column::native`].
    Unsupported,
}

/// Precision and scale of a decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecimalSize {
    /// All digits.
    pub precision: u16,
    /// Digits after the point; negative in PostgreSQL means rounded to the left of it.
    pub scale: i16,
}

/// What a JSON type keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonKind {
    /// The text as written: PostgreSQL `json`, MariaDB `JSON` (a LONGTEXT).
    Verbatim,
    /// PostgreSQL `jsonb`: keys sorted, exact decimals.
    Binary,
    /// MySQL `JSON`: keys sorted, numbers int64, uint64 or double.
    Mysql,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name, byte for byte.
    pub name: String,
    /// Logical type.
    pub ty: Type,
    /// The type as the server prints it (`numeric(10,2)`, `int(10) unsigned`); used in casts on
    /// PostgreSQL and in messages.
    pub native: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Computed by the server; never written.
    pub generated: bool,
    /// What is computed, where it is understood.
    pub formula: Option<Formula>,
    /// MariaDB: until when a row of a system-versioned table was the present one.
    pub row_end: bool,
    /// The server fills it when an insert leaves it out (default, identity, AUTO_INCREMENT).
    pub has_default: bool,
    /// What that is; `None` for numbers of a sequence.
    pub default: Option<DefaultValue>,
    /// What people say of it.
    pub comment: Option<String>,
    /// The sequences that its default takes numbers from, which whoever inserts needs a right on; those of
    /// identity columns need none.
    pub sequences: Vec<TableName>,
    /// PostgreSQL: the schemas that its type is in, which whoever names the type needs a right on; not
    /// those of the server itself.
    pub type_schemas: Vec<String>,
    /// Identity, serial or AUTO_INCREMENT.
    pub auto_increment: bool,
    /// `ON UPDATE CURRENT_TIMESTAMP`.
    pub on_update_now: bool,
    /// Text types: whether the server compares it byte for byte, without padding (so that two
    /// keys that differ in bytes are two keys). True for types that are not text.
    pub exact_collation: bool,
    /// Text types of MySQL/MariaDB: the character set's name; `None` elsewhere (UTF-8).
    pub charset: Option<String>,
}

/// What a column gets where an insert leaves it out, as far as another server can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// A value as its server writes it, without quotes; a truth value is `true` or `false`.
    Literal(String),
    /// The present moment.
    Now {
        /// Fraction digits.
        digits: u8,
    },
    /// The present day.
    Today,
    /// A UUID that nobody has yet.
    NewUuid,
    /// What weir does not know, as the server prints it.
    Other(String),
}

impl Column {
    /// A column that may be NULL, is no more than its type, and compares byte for byte.
    pub fn plain(name: impl Into<String>, ty: Type, native: impl Into<String>) -> Self {
        Column {
            name: name.into(),
            ty,
            native: native.into(),
            nullable: true,
            generated: false,
            formula: None,
            row_end: false,
            has_default: false,
            default: None,
            comment: None,
            sequences: Vec::new(),
            type_schemas: Vec::new(),
            auto_increment: false,
            on_update_now: false,
            exact_collation: true,
            charset: None,
        }
    }
}

/// A unique index or constraint over plain columns (indexes over expressions are in
/// [`Table::odd_unique_indexes`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unique {
    /// Index name.
    pub name: String,
    /// Column positions in [`Table::columns`].
    pub columns: Vec<usize>,
    /// Whether it is the primary key.
    pub primary: bool,
}

/// A foreign key of this table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// Constraint name.
    pub name: String,
    /// The table referred to.
    pub parent: TableName,
    /// The columns of this table.
    pub columns: Vec<String>,
    /// The parent's columns that they refer to, in the same order.
    pub parent_columns: Vec<String>,
    /// What a delete of the parent's row does.
    pub on_delete: Rule,
    /// What a change of the parent's key does.
    pub on_update: Rule,
    /// Whether the server's log holds what the rules do to the rows of this table.
    pub logged: bool,
}

impl ForeignKey {
    /// Whether rows of its table change by it.
    pub fn acts(&self) -> bool {
        self.on_delete.acts() || self.on_update.acts()
    }

    /// Whether rows go by it with rows of the table `own`, which has it.
    pub fn takes_along(&self, own: &TableName) -> bool {
        self.on_delete == Rule::Cascade && self.parent == *own
    }
}

/// What a foreign key does to the rows that refer to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Nothing: it refuses the statement, now or at commit.
    Refuse,
    /// They go, or follow.
    Cascade,
    /// They refer to nothing.
    SetNull,
    /// They refer to their default.
    SetDefault,
}

impl Rule {
    /// Whether rows change by it.
    pub fn acts(self) -> bool {
        self != Rule::Refuse
    }

    /// The rule in SQL, the same in every dialect.
    pub fn sql(self) -> &'static str {
        match self {
            Rule::Refuse => "NO ACTION",
            Rule::Cascade => "CASCADE",
            Rule::SetNull => "SET NULL",
            Rule::SetDefault => "SET DEFAULT",
        }
    }
}

/// Which columns a before image is sure to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// All columns (REPLICA IDENTITY FULL, `binlog_row_image=FULL`).
    Full,
    /// These columns of [`Table::columns`].
    Columns(Vec<usize>),
    /// None: updates and deletes cannot be replicated.
    Nothing,
    /// The image would hold computed columns, so the server refuses updates and deletes of the table,
    /// those of applications too, once its changes are to be sent (PostgreSQL from version 18 on).
    Unsendable,
}

/// One table of one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Columns in catalog order, generated ones included.
    pub columns: Vec<Column>,
    /// Unique indexes over plain columns; the primary key, where there is one, is marked.
    pub uniques: Vec<Unique>,
    /// Names of unique indexes over expressions, prefixes or with a WHERE.
    pub odd_unique_indexes: Vec<String>,
    /// What a before image holds; with partitions, each has its own.
    pub identity: Identity,
    /// Foreign keys of this table.
    pub foreign_keys: Vec<ForeignKey>,
    /// Whether the storage engine is transactional (always true on PostgreSQL).
    pub transactional: bool,
    /// What keeps this table from being captured or written, in words (view, system-versioned, …);
    /// refused by name at plan time.
    pub unsupported: Option<String>,
    /// PostgreSQL: the partitions that hold the rows, at whatever level; none where the table holds
    /// them itself.
    pub partitions: Vec<Partition>,
    /// What only its definition needs.
    pub extras: Extras,
}

/// What of a table is of no consequence for its rows: only who makes it anew needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// What people say of the table.
    pub comment: Option<String>,
    /// Checks of its rows.
    pub checks: Vec<Check>,
    /// Indexes but the primary key and those of [`Table::uniques`].
    pub indexes: Vec<Index>,
}

/// A check of a table's rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// What is checked, as the server prints it.
    pub text: String,
    /// The same, where it is understood.
    pub formula: Option<Formula>,
    /// Whether every row fulfils it.
    pub holds: bool,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Whether no two rows have the same in it.
    pub unique: bool,
    /// What it is over, and whether that goes downwards.
    pub parts: Vec<(Part, bool)>,
    /// What of it other servers have nothing for, in words.
    pub unfit: Option<String>,
}

/// What an index is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A column.
    Column(String),
    /// The first characters of a text, or the first of a column's bytes.
    Prefix(String, u32),
    /// What is computed of columns.
    Formula(Formula),
    /// What is not understood, as the server prints it.
    Unknown(String),
}

/// A partition of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its name.
    pub name: TableName,
    /// What a before image of its rows holds, as positions in the *partitioned* table's columns.
    pub identity: Identity,
}

impl Table {
    /// A table without keys of which a before image holds everything.
    pub fn keyless(name: TableName, columns: Vec<Column>) -> Self {
        Table {
            name,
            columns,
            uniques: Vec::new(),
            odd_unique_indexes: Vec::new(),
            identity: Identity::Full,
            foreign_keys: Vec::new(),
            transactional: true,
            unsupported: None,
            partitions: Vec::new(),
            extras: Extras::default(),
        }
    }

    /// Position of the column called `name`.
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The primary key's column positions, if there is one.
    pub fn primary_key(&self) -> Option<&[usize]> {
        self.uniques.iter().find(|unique| unique.primary).map(|unique| unique.columns.as_slice())
    }
}
