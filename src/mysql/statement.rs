//! What a logged statement means for weir: transaction control, DDL, or rows in statement format.
//!
//! A statement is split into words, names and signs; comments are dropped, but the contents of
//! version comments (`/*!40005 …*/`, `/*M! …*/`) count, as they do on the server. Only the words
//! that decide are looked at, nothing is parsed deeply; what is not recognised is
//! [`Statement::Unknown`], which halts the link. Tables of a statement are those it empties,
//! drops, renames or alters.
//! Sources: MySQL and MariaDB manuals, "SQL Statements", "Comments".

use crate::model::TableName;

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
    /// Changes no row of a table by itself.
    Ddl,
    /// Changes rows, in statement format; its first word.
    Rows(String),
    /// Changes rows of this one table only, in statement format.
    RowsOf(TableName),
    /// Not recognised; its first word.
    Unknown(String),
}

/// A word or name, or a sign.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Bare: a keyword or a name.
    Word(String),
    /// In quotes: a name.
    Quoted(String),
    /// A string or number, of no concern.
    Literal,
    /// One sign.
    Sign(char),
}

impl Token {
    fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own.eq_ignore_ascii_case(word))
    }

    fn name(&self) -> Option<&str> {
        match self {
            Token::Word(name) | Token::Quoted(name) => Some(name),
            _ => None,
        }
    }
}

/// Reads `statement`, run with `schema` as the default database.
pub(crate) fn read(statement: &[u8], schema: &str) -> Statement {
    let text = String::from_utf8_lossy(statement);
    let tokens = tokens(&text);
    Words { tokens: &tokens, schema }.statement()
}

#[derive(Clone, Copy)]
struct Words<'a> {
    tokens: &'a [Token],
    schema: &'a str,
}

impl Words<'_> {
    fn at(&self, index: usize) -> &Token {
        self.tokens.get(index).unwrap_or(&Token::Literal)
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
            "ROLLBACK" if self.tokens.iter().any(|token| token.is("TO")) => {
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
                if !self.starts_any(1, &["TABLE", "TABLES", "LOCAL", "NO_WRITE_TO_BINLOG"]) =>
            {
                Statement::Rows(first)
            }
            "GRANT" | "REVOKE" | "SET" | "FLUSH" | "ANALYZE" | "OPTIMIZE" | "REPAIR" | "CHECK"
            | "INSTALL" | "UNINSTALL" | "LOCK" | "UNLOCK" | "RESET" | "PURGE" | "IMPORT"
            | "CHANGE" => Statement::Ddl,
            _ => Statement::Unknown(first),
        }
    }

    fn starts_any(&self, index: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.at(index).is(word))
    }

    /// MariaDB's `SET STATEMENT setting = value FOR statement`.
    fn after_settings(self) -> Statement {
        match self.tokens.iter().position(|token| token.is("FOR")) {
            Some(found) => {
                let tokens = self.tokens.get(found + 1..).unwrap_or_default();
                Words { tokens, schema: self.schema }.statement()
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
        while words.iter().any(|word| self.at(index).is(word)) {
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
        if self.at(1).is("DATABASE") || self.at(1).is("SCHEMA") {
            let name = self.at(self.past(2, &["IF", "EXISTS"])).name();
            return Statement::DropDatabase(name.unwrap_or_default().to_owned());
        }
        if !self.at(1).is("TABLE") && !self.at(1).is("TABLES") {
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

    /// `RENAME TABLE a TO b, c TO d`: both names of each pair are concerned.
    fn rename(self) -> Statement {
        if !self.at(1).is("TABLE") && !self.at(1).is("TABLES") {
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
        let found = self.tokens.iter().skip(index).position(|token| token.is("TO"));
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
        let rest = self.tokens.get(next..).unwrap_or_default();
        let pair = |first: &str, second: &str| {
            rest.windows(2).any(|pair| pair[0].is(first) && pair[1].is(second))
        };
        let moves = ["TRUNCATE", "DROP", "EXCHANGE", "CONVERT", "IMPORT", "DISCARD"];
        if moves.iter().any(|verb| pair(verb, "PARTITION"))
            || pair("CONVERT", "TABLE")
            || pair("DISCARD", "TABLESPACE")
            || pair("IMPORT", "TABLESPACE")
        {
            let other = (next..self.tokens.len()).filter(|index| self.at(*index).is("TABLE"));
            let other = other.filter_map(|index| self.table(index + 1)).map(|(table, _)| table);
            return Statement::MovesRows(std::iter::once(table).chain(other).collect());
        }
        let renamed = rest.windows(2).any(|pair| {
            let what = &pair[1];
            pair[0].is("RENAME") && !["COLUMN", "INDEX", "KEY"].iter().any(|word| what.is(word))
        });
        if renamed { Statement::Gone(vec![table]) } else { Statement::Ddl }
    }

    /// `CREATE OR REPLACE TABLE` drops a table that is there.
    fn create(self) -> Statement {
        if self.starts(&["CREATE", "OR", "REPLACE", "TABLE"])
            && let Some((table, _)) = self.table(self.past(4, &["IF", "NOT", "EXISTS"]))
        {
            return Statement::Gone(vec![table]);
        }
        Statement::Ddl
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

/// Splits a statement. A lone quote runs to the end.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = match first {
            _ if first.is_whitespace() => &rest[first.len_utf8()..],
            '`' | '"' => {
                let (name, after) = quoted(rest, first);
                tokens.push(Token::Quoted(name));
                after
            }
            '\'' => {
                tokens.push(Token::Literal);
                quoted(rest, first).1
            }
            _ if rest.starts_with("/*") => comment(rest),
            '#' => line_end(rest),
            _ if rest.starts_with("--") && rest[2..].starts_with(char::is_whitespace) => {
                line_end(rest)
            }
            // The end of a version comment whose contents were read.
            _ if rest.starts_with("*/") => &rest[2..],
            _ if is_word(first) => {
                let end = rest.find(|letter| !is_word(letter)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                tokens.push(Token::Word(word.to_owned()));
                after
            }
            sign => {
                if sign != ';' {
                    tokens.push(Token::Sign(sign));
                }
                &rest[sign.len_utf8()..]
            }
        };
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_' || letter == '$'
}

fn line_end(text: &str) -> &str {
    text.find('\n').map_or("", |end| &text[end + 1..])
}

/// What follows a comment, or the contents of a version comment (their `*/` is passed over later).
fn comment(text: &str) -> &str {
    let contents = text.strip_prefix("/*!").or_else(|| text.strip_prefix("/*M!"));
    match contents {
        Some(contents) => contents.trim_start_matches(|letter: char| letter.is_ascii_digit()),
        None => text[2..].find("*/").map_or("", |end| &text[2 + end + 2..]),
    }
}

/// The contents of a quoted name or string that `text` starts with, and what follows. A doubled
/// quote stands for one; in strings a backslash escapes.
fn quoted(text: &str, quote: char) -> (String, &str) {
    let mut name = String::new();
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((_, letter)) = letters.next() {
        if letter == quote {
            match letters.peek() {
                Some((_, next)) if *next == quote => {
                    letters.next();
                }
                Some((after, _)) => return (name, &text[*after..]),
                None => return (name, ""),
            }
        } else if letter == '\\' && quote != '`' {
            letters.next();
        }
        name.push(letter);
    }
    (name, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TableName {
        let (schema, table) = text.split_once('.').expect(text);
        TableName::new(schema, table)
    }

    /// Broken if a statement that empties or removes a replicated table went unseen, or a harmless
    /// one halted the link.
    #[test]
    fn statements_that_decide() {
        let gone = |tables: &[&str]| Statement::Gone(tables.iter().map(|t| name(t)).collect());
        for (text, expected) in [
            ("BEGIN", Statement::Begin),
            ("COMMIT", Statement::Commit),
            ("ROLLBACK", Statement::Rollback),
            ("ROLLBACK TO `a`", Statement::RollbackToSavepoint),
            ("XA START X'61',X'',1", Statement::Xa),
            ("truncate t", Statement::Truncate(name("shop.t"))),
            ("/* app */ TRUNCATE TABLE `a``b`.`t 1`", Statement::Truncate(name("a`b.t 1"))),
            ("-- note\nTRUNCATE TABLE x . y", Statement::Truncate(name("x.y"))),
            ("DROP TABLE IF EXISTS `a`.`t`,u /* generated by server */", gone(&["a.t", "shop.u"])),
            ("DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `t`", Statement::Ddl),
            ("DROP DATABASE IF EXISTS a", Statement::DropDatabase("a".to_owned())),
            ("DROP INDEX i ON t", Statement::Ddl),
            ("RENAME TABLE t TO a.u, v TO w", gone(&["shop.t", "a.u", "shop.v", "shop.w"])),
            ("ALTER TABLE t RENAME TO u", gone(&["shop.t"])),
            ("ALTER TABLE t RENAME COLUMN a TO b", Statement::Ddl),
            ("ALTER TABLE t ADD COLUMN `rename` int COMMENT 'RENAME TO'", Statement::Ddl),
            ("ALTER TABLE t TRUNCATE PARTITION p", Statement::MovesRows(vec![name("shop.t")])),
            ("ALTER TABLE a.t DISCARD TABLESPACE", Statement::MovesRows(vec![name("a.t")])),
            (
                "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE b.u",
                Statement::MovesRows(vec![name("shop.t"), name("b.u")]),
            ),
            ("SET STATEMENT a=1 FOR TRUNCATE t", Statement::Truncate(name("shop.t"))),
            ("ANALYZE TABLE t", Statement::Ddl),
            ("CREATE OR REPLACE TABLE t (a int)", gone(&["shop.t"])),
            ("CREATE TABLE t (a int)", Statement::Ddl),
            ("INSERT INTO t VALUES (1)", Statement::Rows("INSERT".to_owned())),
            ("DELETE FROM `a`.`t`", Statement::RowsOf(name("a.t"))),
            ("DELETE FROM t WHERE a = 1", Statement::Rows("DELETE".to_owned())),
            ("/*!50003 UPDATE */ t SET a = 1", Statement::Rows("UPDATE".to_owned())),
            ("FROBNICATE t", Statement::Unknown("FROBNICATE".to_owned())),
        ] {
            assert_eq!(read(text.as_bytes(), "shop"), expected, "{text}");
        }
    }

    proptest::proptest! {
        /// Broken if a statement could bring the capture down.
        #[test]
        fn never_panics(text in "[`'\"/*!M; \\\\.,#\\-\\nA-Zaä0-9]{0,60}") {
            read(text.as_bytes(), "shop");
        }
    }
}
