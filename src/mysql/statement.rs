//! What a logged statement means for weir: transaction control, DDL, or rows in statement format.
//!
//! A statement is read in its session's character set and split by `tokens`. Only the words that
//! decide are looked at, nothing is parsed deeply; what is not recognised is
//! [`Statement::Unknown`], which halts the link. Of a text in a character set that weir does not
//! decode, only what stands before the first name or string beyond ASCII is looked at, and of any
//! text only what stands before a quote that does not end; where that does not decide, the
//! statement is unknown. Tables of a statement are those it empties, drops, renames or alters.
//! Sources: MySQL and MariaDB manuals, "SQL Statements".

mod alter;
mod tokens;

#[cfg(test)]
mod tests;

use std::cell::Cell;

use bytes::Bytes;

use super::binlog::{Format, Query};
use crate::model::TableName;
use crate::mysql::session::Flavor;
use crate::transform::Charset;
use alter::Effect;
use tokens::{Syntax, Token, UNDECODED};

/// A statement as far as weir is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Statement {
    /// Opens a transaction.
    Begin,
    /// Ends a transaction.
    Commit,
    /// Ends a transaction without its changes.
    Rollback,
    /// Undoes a part of a transaction.
    RollbackToSavepoint,
    /// Of no concern inside a transaction.
    Savepoint,
    /// Two-phase commit.
    Xa,
    /// All rows of the table go.
    Truncate(TableName),
    /// The tables go, or their names do.
    Gone(Vec<TableName>),
    /// The database goes.
    DropDatabase(String),
    /// Rows of these tables are moved or dropped by the partition, or their files exchanged.
    MovesRows(Vec<TableName>),
    /// Rows of the table may change by this clause of an `ALTER TABLE`.
    Alter {
        /// The table.
        table: TableName,
        /// The clause's first word.
        clause: String,
        /// The columns whose values alone may change; none where it is more than that.
        columns: Vec<String>,
    },
    /// The table gets a foreign key that changes rows by itself.
    ActingKey(TableName),
    /// A temporary table takes this name for the session's later statements.
    Temporary(TableName),
    /// It concerns other tables if its text is read in the other of two possible ways.
    Ambiguous(Vec<TableName>),
    /// Changes no row of a table by itself.
    Ddl,
    /// Changes rows, in statement format; its first word.
    Rows(String),
    /// Changes rows of this one table only, in statement format.
    RowsOf(TableName),
    /// Not recognised; its first word.
    Unknown(String),
}

impl Statement {
    /// The tables it concerns.
    fn tables(self) -> Vec<TableName> {
        match self {
            Statement::Truncate(table)
            | Statement::Alter { table, .. }
            | Statement::ActingKey(table)
            | Statement::Temporary(table)
            | Statement::RowsOf(table) => vec![table],
            Statement::Gone(tables)
            | Statement::MovesRows(tables)
            | Statement::Ambiguous(tables) => tables,
            _ => Vec::new(),
        }
    }
}

/// Reads `query` as the server of `format` did.
pub(crate) fn read(query: &Query<'_>, format: &Format) -> Statement {
    let schema = String::from_utf8_lossy(query.schema);
    let syntax = Syntax::of(query, format);
    let mariadb = format.flavor == Flavor::Mariadb;
    let charset = query.collation.and_then(|id| Charset::of_collation(u32::from(id), mariadb));
    match (charset, std::str::from_utf8(&query.text)) {
        (_, Ok(text)) if text.is_ascii() => whole(text, &schema, syntax),
        (Some(charset @ Charset::Tabled(_)), utf8) => {
            match (charset.text(Bytes::copy_from_slice(&query.text)), utf8) {
                (Some(own), Ok(utf8)) => {
                    either(whole(&own, &schema, syntax), whole(utf8, &schema, syntax))
                }
                (Some(own), Err(_)) => whole(&own, &schema, syntax),
                (None, _) => unread(&query.text, &schema, syntax),
            }
        }
        (Some(_), Ok(text)) => whole(text, &schema, syntax),
        _ => unread(&query.text, &schema, syntax),
    }
}

/// MariaDB writes some statements about tables itself, in UTF-8, and says the session's character
/// set; so a text that is UTF-8 can be meant in two ways.
fn either(own: Statement, utf8: Statement) -> Statement {
    let tables = [own.clone().tables(), utf8.clone().tables()].concat();
    if own == utf8 || tables.is_empty() { own } else { Statement::Ambiguous(tables) }
}

/// Reads a text that could be decoded.
fn whole(text: &str, schema: &str, syntax: Syntax) -> Statement {
    let (tokens, rest) = syntax.split(text);
    let why = "a quote that does not end";
    decide(&tokens, rest, why, schema).unwrap_or_else(|| Statement::Unknown(why.to_owned()))
}

/// Reads a text of which only ASCII is sure.
fn unread(text: &[u8], schema: &str, syntax: Syntax) -> Statement {
    let letter = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { UNDECODED };
    let text: String = text.iter().map(letter).collect();
    let (tokens, rest) = syntax.split(&text);
    let why = "a text in a character set that weir does not decode";
    decide(&tokens, rest, why, schema).unwrap_or_else(|| {
        let first = tokens.first().and_then(Token::name).unwrap_or_default().to_ascii_uppercase();
        let what = why.trim_start_matches("a text ");
        Statement::Unknown(format!("{first} {what}"))
    })
}

/// What the tokens say, `rest` being what follows them unread; `None` if that would have to be
/// known.
fn decide(tokens: &[Token], rest: &str, why: &'static str, schema: &str) -> Option<Statement> {
    let unread = Unread { text: rest, why, asked: Cell::new(false) };
    let unread = (!rest.is_empty()).then_some(&unread);
    let statement = Words { tokens, schema, unread }.statement();
    unread.is_none_or(|unread| !unread.asked.get()).then_some(statement)
}

/// An `ALTER TABLE` that may change any row.
fn altered(table: TableName, clause: &str) -> Statement {
    Statement::Alter { table, clause: clause.to_owned(), columns: Vec::new() }
}

#[derive(Clone, Copy)]
struct Words<'a> {
    tokens: &'a [Token],
    schema: &'a str,
    /// What follows the tokens, if it cannot be read.
    unread: Option<&'a Unread<'a>>,
}

/// The part of a text that cannot be read.
struct Unread<'a> {
    text: &'a str,
    why: &'static str,
    /// Whether something in it was asked for.
    asked: Cell<bool>,
}

impl Words<'_> {
    fn at(&self, index: usize) -> &Token {
        self.tokens.get(index).unwrap_or_else(|| {
            self.ask();
            &Token::Literal
        })
    }

    /// The tokens from `index` to the end.
    fn from(&self, index: usize) -> &[Token] {
        self.ask();
        self.tokens.get(index..).unwrap_or_default()
    }

    /// Something behind the last token decides.
    fn ask(&self) {
        if let Some(unread) = self.unread {
            unread.asked.set(true);
        }
    }

    /// Whether `word` is among the tokens or may be behind them; words are ASCII in every character
    /// set of a session.
    fn may_hold(&self, word: &str) -> bool {
        let named =
            |token: &Token| token.name().is_some_and(|name| name.eq_ignore_ascii_case(word));
        let within = |text: &str| {
            let mut parts = text.as_bytes().windows(word.len());
            parts.any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
        };
        self.tokens.iter().any(named) || self.unread.is_some_and(|unread| within(unread.text))
    }

    fn starts(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(index, word)| self.at(index).is(word))
    }

    fn statement(self) -> Statement {
        let first = match self.at(0) {
            Token::Word(word) => word.to_ascii_uppercase(),
            _ => return Statement::Unknown("a statement without a keyword".to_owned()),
        };
        match first.as_str() {
            "BEGIN" | "START" => Statement::Begin,
            "COMMIT" => Statement::Commit,
            "ROLLBACK" if self.from(1).iter().any(|token| token.is("TO")) => {
                Statement::RollbackToSavepoint
            }
            "ROLLBACK" => Statement::Rollback,
            "SAVEPOINT" | "RELEASE" => Statement::Savepoint,
            "XA" => Statement::Xa,
            "TRUNCATE" => self.truncate(),
            "DROP" => self.drop(),
            "RENAME" => self.rename(),
            "ALTER" => self.alter(),
            "CREATE" => self.create(),
            "DELETE" => self.delete(),
            "INSERT" | "UPDATE" | "REPLACE" | "LOAD" | "WITH" | "CALL" | "DO" | "SELECT"
            | "EXECUTE" | "VALUES" => Statement::Rows(first),
            "SET" if self.at(1).is("STATEMENT") => self.after_settings(),
            "ANALYZE"
                if !self.at(1).is_any(&["TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG"]) =>
            {
                Statement::Rows(first)
            }
            "GRANT" | "REVOKE" | "SET" | "FLUSH" | "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK"
            | "INSTALL" | "UNINSTALL" | "LOCK" | "UNLOCK" | "RESET" | "PURGE" | "IMPORT"
            | "CHANGE" => Statement::Ddl,
            _ => Statement::Unknown(first),
        }
    }

    /// MariaDB's `SET STATEMENT setting = value FOR statement`.
    fn after_settings(self) -> Statement {
        match self.tokens.iter().position(|token| token.is("FOR")) {
            Some(found) => {
                let tokens = self.tokens.get(found + 1..).unwrap_or_default();
                Words { tokens, ..self }.statement()
            }
            None => Statement::Unknown("SET STATEMENT".to_owned()),
        }
    }

    /// A name at `index`, perhaps after its database; also where the next token is.
    fn table(&self, index: usize) -> Option<(TableName, usize)> {
        let first = self.at(index).name()?;
        if self.at(index + 1) == &Token::Sign('.') {
            let second = self.at(index + 2).name()?;
            return Some((TableName::new(first, second), index + 3));
        }
        Some((TableName::new(self.schema, first), index + 1))
    }

    /// Where `index` points after optional `words`.
    fn past(&self, mut index: usize, words: &[&str]) -> usize {
        while self.at(index).is_any(words) {
            index += 1;
        }
        index
    }

    fn truncate(self) -> Statement {
        match self.table(self.past(1, &["TABLE"])) {
            Some((table, _)) => Statement::Truncate(table),
            None => Statement::Unknown("TRUNCATE".to_owned()),
        }
    }

    /// `DROP TABLE`, `DROP DATABASE`; temporary tables and all other objects are of no concern.
    fn drop(self) -> Statement {
        if self.at(1).is_any(&["DATABASE", "SCHEMA"]) {
            let name = self.at(self.past(2, &["IF", "EXISTS"])).name();
            return Statement::DropDatabase(name.unwrap_or_default().to_owned());
        }
        if self.at(1).is("INDEX") {
            return self.drop_index();
        }
        if !self.at(1).is_any(&["TABLE", "TABLES"]) {
            return Statement::Ddl;
        }
        let mut tables = Vec::new();
        let mut index = self.past(2, &["IF", "EXISTS"]);
        while let Some((table, next)) = self.table(index) {
            tables.push(table);
            if self.at(next) != &Token::Sign(',') {
                break;
            }
            index = next + 1;
        }
        Statement::Gone(tables)
    }

    /// ``DROP INDEX `PRIMARY` ON t`` is an ALTER of the table, which loses its key.
    fn drop_index(self) -> Statement {
        if !self.may_hold("PRIMARY") {
            return Statement::Ddl;
        }
        let index = self.past(2, &["IF", "EXISTS"]);
        if !alter::is_primary(self.at(index)) {
            return Statement::Ddl;
        }
        match self.table(index + 2) {
            Some((table, _)) => altered(table, "DROP INDEX"),
            None => Statement::Unknown("DROP INDEX".to_owned()),
        }
    }

    /// `RENAME TABLE a TO b, c TO d`: both names of each pair are concerned.
    fn rename(self) -> Statement {
        if !self.at(1).is_any(&["TABLE", "TABLES"]) {
            return Statement::Ddl;
        }
        let mut tables = Vec::new();
        let mut index = self.past(2, &["IF", "EXISTS"]);
        while let Some((table, next)) = self.table(index) {
            tables.push(table);
            let separator = self.at(next).is("TO") || self.at(next) == &Token::Sign(',');
            let next = if separator { next } else { self.next_to(next) };
            index = next + 1;
        }
        Statement::Gone(tables)
    }

    /// MariaDB allows `WAIT n` between name and TO.
    fn next_to(&self, index: usize) -> usize {
        let found = self.from(index).iter().position(|token| token.is("TO"));
        found.map_or(self.tokens.len(), |found| index + found)
    }

    fn alter(self) -> Statement {
        let start = self.past(1, &["ONLINE", "IGNORE"]);
        if !self.at(start).is("TABLE") {
            return Statement::Ddl;
        }
        let Some((table, next)) = self.table(self.past(start + 1, &["IF", "EXISTS"])) else {
            return Statement::Unknown("ALTER TABLE".to_owned());
        };
        if let Some(unread) = self.unread {
            return self.alter_unread(table, unread);
        }
        let rest = self.from(next);
        let pair = |first: &str, second: &str| {
            rest.windows(2).any(|pair| pair[0].is(first) && pair[1].is(second))
        };
        let moves = ["TRUNCATE", "DROP", "EXCHANGE", "CONVERT", "IMPORT", "DISCARD"];
        if self.tokens.iter().take(start).any(|token| token.is("IGNORE"))
            || moves.iter().any(|verb| pair(verb, "PARTITION"))
            || pair("CONVERT", "TABLE")
            || pair("DISCARD", "TABLESPACE")
            || pair("IMPORT", "TABLESPACE")
        {
            let other = (next..self.tokens.len()).filter(|index| self.at(*index).is("TABLE"));
            let other = other.filter_map(|index| self.table(index + 1)).map(|(table, _)| table);
            return Statement::MovesRows(std::iter::once(table).chain(other).collect());
        }
        let renamed = rest
            .windows(2)
            .any(|pair| pair[0].is("RENAME") && !pair[1].is_any(&["COLUMN", "INDEX", "KEY"]));
        if renamed {
            return Statement::Gone(vec![table]);
        }
        match alter::effect(rest) {
            Effect::Changes { clause, columns } => Statement::Alter { table, clause, columns },
            Effect::ActingKey => Statement::ActingKey(table),
            Effect::None => Statement::Ddl,
        }
    }

    /// Only an exchange or a conversion of partitions concerns a second table.
    fn alter_unread(&self, table: TableName, unread: &Unread<'_>) -> Statement {
        if self.may_hold("EXCHANGE") || self.may_hold("CONVERT") {
            self.ask();
        }
        altered(table, unread.why)
    }

    /// `CREATE OR REPLACE` of a table or database drops one that is there; a temporary table hides
    /// one.
    fn create(self) -> Statement {
        let replaces = self.starts(&["CREATE", "OR", "REPLACE"]);
        let what = if replaces { 3 } else { 1 };
        let named = || self.past(what + 1, &["TABLE", "IF", "NOT", "EXISTS"]);
        match self.at(what) {
            word if replaces && word.is_any(&["DATABASE", "SCHEMA"]) => {
                let name = self.at(named()).name();
                Statement::DropDatabase(name.unwrap_or_default().to_owned())
            }
            word if replaces && word.is("TABLE") => match self.table(named()) {
                Some((table, _)) => Statement::Gone(vec![table]),
                None => Statement::Unknown("CREATE OR REPLACE TABLE".to_owned()),
            },
            word if word.is("TEMPORARY") && self.at(what + 1).is("TABLE") => {
                match self.table(named()) {
                    Some((table, _)) => Statement::Temporary(table),
                    None => Statement::Unknown("CREATE TEMPORARY TABLE".to_owned()),
                }
            }
            _ => Statement::Ddl,
        }
    }

    /// `DELETE FROM t` without anything else is what a server writes for an in-memory table after
    /// a restart.
    fn delete(self) -> Statement {
        if self.at(1).is("FROM")
            && let Some((table, next)) = self.table(2)
            && next == self.tokens.len()
        {
            return Statement::RowsOf(table);
        }
        Statement::Rows("DELETE".to_owned())
    }
}
