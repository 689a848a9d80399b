//! What a formula means over the columns of a table, where every server computes the same of it.
//!
//! Numbers are compared and computed exactly, texts compared only for being the same, byte for byte. What
//! depends on a collation, on a zone or on how a server rounds has no meaning here, and a reason in words.

use crate::config::Dialect;
use crate::model::calendar::is_moment;
use crate::model::formula::{Arithmetic, Cast, Comparison, Formula};
use crate::model::{Column, Table, Type};

/// Digits of a number that every server computes exactly.
const DIGITS_MAX: u32 = 60;
/// Digits behind the point of such a number.
const SCALE_MAX: u32 = 30;
/// Digits of a length.
const LENGTH_DIGITS: u32 = 10;

/// What a formula makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A truth value.
    Truth,
    /// An exact number.
    Number {
        /// Digits before the point, at most.
        whole: u32,
        /// Digits behind the point, at most.
        scale: u32,
    },
    /// A float.
    Float,
    /// A text.
    Text(Texts),
    /// A label of an enum.
    Label(Vec<String>),
    /// Bytes.
    Bytes,
    /// A day.
    Day,
    /// A wall clock.
    Wall,
    /// A moment.
    Moment,
    /// A text as it is written, whose type is that of what it is compared with.
    Quoted(String),
    /// What is not known.
    Other,
}

/// What is known of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Texts {
    /// Compared byte for byte, without padding.
    pub exact: bool,
    /// Blanks at its end are no part of it.
    pub padded: bool,
    /// It has as many bytes as UTF-8 has.
    pub utf8: bool,
}

type Meant = Result<(Formula, Kind), &'static str>;

const COLLATED: &str = "its server compares text by a collation there";
const UNKNOWN: &str = "it may mean something else here";

/// A formula over columns of `table`, which is of `dialect`, with what it makes. Truth values of MySQL and
/// MariaDB, which are numbers there, are such in what comes out.
///
/// # Errors
/// Why servers may differ in it, in words.
pub fn meaning(formula: &Formula, table: &Table, dialect: Dialect) -> Meant {
    Reader { table, dialect }.of(formula)
}

struct Reader<'a> {
    table: &'a Table,
    dialect: Dialect,
}

impl Reader<'_> {
    fn of(&self, formula: &Formula) -> Meant {
        let made = |formula: Formula, kind: Kind| Ok((formula, kind));
        match formula {
            Formula::Column(name) => {
                let column = self.table.columns.iter().find(|column| column.name == *name);
                let kind = self.column(column.ok_or("a column of it is left out")?);
                made(formula.clone(), kind)
            }
            Formula::Number(digits) => made(formula.clone(), literal(digits)),
            Formula::Text(text) if text.contains('\0') => Err(UNKNOWN),
            Formula::Text(text) => made(formula.clone(), Kind::Quoted(text.clone())),
            Formula::Truth(_) => made(formula.clone(), Kind::Truth),
            Formula::Not(of) => made(Formula::Not(self.truth(of)?.into()), Kind::Truth),
            Formula::And(left, right) => {
                made(Formula::And(self.truth(left)?.into(), self.truth(right)?.into()), Kind::Truth)
            }
            Formula::Or(left, right) => {
                made(Formula::Or(self.truth(left)?.into(), self.truth(right)?.into()), Kind::Truth)
            }
            Formula::IsNull(of) => made(Formula::IsNull(self.of(of)?.0.into()), Kind::Truth),
            Formula::Compare(how, left, right) => self.compare(*how, left, right),
            Formula::Like(of, pattern) => {
                let of = self.text(of, |texts| texts.exact && !texts.padded)?;
                if pattern.contains(['\\', '\0']) {
                    return Err(UNKNOWN);
                }
                made(Formula::Like(of.into(), pattern.clone()), Kind::Truth)
            }
            Formula::Arithmetic(how, left, right) => self.arithmetic(*how, left, right),
            Formula::Negative(of) => match self.of(of)? {
                (of, kind @ Kind::Number { .. }) => made(Formula::Negative(of.into()), kind),
                _ => Err(UNKNOWN),
            },
            Formula::Characters(of) => {
                let of = self.text(of, |_| true)?;
                made(Formula::Characters(of.into()), whole(LENGTH_DIGITS))
            }
            Formula::Bytes(of) => match self.of(of)? {
                (of, Kind::Bytes) => made(Formula::Bytes(of.into()), whole(LENGTH_DIGITS)),
                (of, Kind::Text(texts)) if texts.utf8 && !texts.padded => {
                    made(Formula::Bytes(of.into()), whole(LENGTH_DIGITS))
                }
                _ => Err(UNKNOWN),
            },
            Formula::Concat(left, right) => self.concat(left, right),
            Formula::Start(of, count) => match self.of(of)? {
                (of, Kind::Text(texts)) if !texts.padded => {
                    made(Formula::Start(of.into(), *count), Kind::Text(texts))
                }
                _ => Err(UNKNOWN),
            },
            Formula::Cast(of, to) => self.cast(of, *to),
        }
    }

    fn column(&self, column: &Column) -> Kind {
        match &column.ty {
            Type::Bool => Kind::Truth,
            Type::Int { bits, .. } => whole(match bits {
                8 => 3,
                16 => 5,
                24 => 8,
                32 => 10,
                _ => 20,
            }),
            Type::Decimal(None) => Kind::Number { whole: u32::from(u16::MAX), scale: SCALE_MAX },
            Type::Decimal(Some(size)) => Kind::Number {
                whole: u32::try_from(i32::from(size.precision) - i32::from(size.scale))
                    .unwrap_or(0),
                scale: u32::try_from(size.scale).unwrap_or(0),
            },
            Type::F64 => Kind::Float,
            Type::Char { .. } | Type::Text { .. } => {
                let charset = column.charset.as_deref();
                Kind::Text(Texts {
                    exact: column.exact_collation,
                    padded: matches!(column.ty, Type::Char { .. }),
                    utf8: matches!(charset, None | Some("utf8mb4" | "utf8mb3" | "utf8" | "ascii")),
                })
            }
            // The others compare labels by a collation.
            Type::Enum { labels } if self.dialect == Dialect::Postgres => {
                Kind::Label(labels.clone())
            }
            Type::Bytes { .. } => Kind::Bytes,
            Type::Date => Kind::Day,
            Type::Timestamp { .. } => Kind::Wall,
            Type::Instant { .. } => Kind::Moment,
            _ => Kind::Other,
        }
    }

    fn truth(&self, formula: &Formula) -> Result<Formula, &'static str> {
        match self.of(formula)? {
            (formula, Kind::Truth) => Ok(formula),
            _ => Err(UNKNOWN),
        }
    }

    fn text(&self, formula: &Formula, fits: fn(&Texts) -> bool) -> Result<Formula, &'static str> {
        match self.of(formula)? {
            (formula, Kind::Text(texts)) if fits(&texts) => Ok(formula),
            (_, Kind::Text(_)) => Err(COLLATED),
            _ => Err(UNKNOWN),
        }
    }

    fn compare(&self, how: Comparison, left: &Formula, right: &Formula) -> Meant {
        let ((left, one), (right, other)) = (self.of(left)?, self.of(right)?);
        let (left, right) = match (&one, &other) {
            (Kind::Truth, Kind::Number { .. }) => (left, self.as_truth(&right)?),
            (Kind::Number { .. }, Kind::Truth) => (self.as_truth(&left)?, right),
            _ => (left, right),
        };
        let is_number = |kind: &Kind| matches!(kind, Kind::Truth | Kind::Number { .. });
        let fits = match (&one, &other) {
            (Kind::Truth, other) | (other, Kind::Truth) => how.is_equality() && is_number(other),
            (Kind::Number { .. }, Kind::Number { .. }) | (Kind::Float, Kind::Float) => true,
            (Kind::Float, Kind::Number { .. }) => is_literal(&right),
            (Kind::Number { .. }, Kind::Float) => is_literal(&left),
            (Kind::Text(one), Kind::Text(other)) => {
                if !one.exact || !other.exact {
                    return Err(COLLATED);
                }
                how.is_equality() && one.padded == other.padded
            }
            (Kind::Text(texts), Kind::Quoted(text)) | (Kind::Quoted(text), Kind::Text(texts)) => {
                if !texts.exact || !how.is_equality() {
                    return Err(COLLATED);
                }
                !(texts.padded && text.ends_with(' '))
            }
            (Kind::Label(labels), Kind::Quoted(text))
            | (Kind::Quoted(text), Kind::Label(labels)) => {
                how.is_equality() && labels.contains(text)
            }
            (Kind::Day | Kind::Wall, Kind::Quoted(text))
            | (Kind::Quoted(text), Kind::Day | Kind::Wall) => {
                let is_day = !text.contains(' ');
                is_moment(text) && (is_day || one == Kind::Wall || other == Kind::Wall)
            }
            (Kind::Day, Kind::Day) | (Kind::Wall, Kind::Wall) | (Kind::Moment, Kind::Moment) => {
                true
            }
            _ => false,
        };
        if !fits {
            return Err(UNKNOWN);
        }
        Ok((Formula::Compare(how, left.into(), right.into()), Kind::Truth))
    }

    /// The truth value that a number of MySQL or MariaDB is.
    fn as_truth(&self, formula: &Formula) -> Result<Formula, &'static str> {
        match formula {
            Formula::Number(digits) if digits == "0" => Ok(Formula::Truth(false)),
            Formula::Number(digits) if digits == "1" => Ok(Formula::Truth(true)),
            _ => Err(UNKNOWN),
        }
    }

    fn arithmetic(&self, how: Arithmetic, left: &Formula, right: &Formula) -> Meant {
        let ((left, one), (right, other)) = (self.of(left)?, self.of(right)?);
        let (Kind::Number { whole: one, scale: own }, Kind::Number { whole: other, scale: theirs }) =
            (one, other)
        else {
            return Err(UNKNOWN);
        };
        let (whole, scale) = match how {
            Arithmetic::Plus | Arithmetic::Minus => (one.max(other) + 1, own.max(theirs)),
            Arithmetic::Times => (one + other, own + theirs),
            Arithmetic::Remainder => {
                let is_some = |digits: &str| digits.bytes().any(|digit| digit != b'0');
                let by = matches!(&right, Formula::Number(digits) if is_some(digits));
                if !by || own > 0 || theirs > 0 {
                    return Err(UNKNOWN);
                }
                (other, 0)
            }
        };
        if whole + scale > DIGITS_MAX || scale > SCALE_MAX {
            return Err("its numbers may have more digits than every server keeps");
        }
        Ok((Formula::Arithmetic(how, left.into(), right.into()), Kind::Number { whole, scale }))
    }

    fn concat(&self, left: &Formula, right: &Formula) -> Meant {
        let ((left, one), (right, other)) = (self.of(left)?, self.of(right)?);
        let texts = match (one, other) {
            (Kind::Text(one), Kind::Text(other)) if !one.padded && !other.padded => Texts {
                exact: one.exact && other.exact,
                padded: false,
                utf8: one.utf8 && other.utf8,
            },
            (Kind::Text(texts), Kind::Quoted(_)) | (Kind::Quoted(_), Kind::Text(texts))
                if !texts.padded =>
            {
                texts
            }
            _ => return Err(UNKNOWN),
        };
        Ok((Formula::Concat(left.into(), right.into()), Kind::Text(texts)))
    }

    /// A value that the other type has as well is the same there.
    fn cast(&self, of: &Formula, to: Cast) -> Meant {
        let (of, kind) = self.of(of)?;
        let is_same = match (&kind, to) {
            (Kind::Text(texts), Cast::Text) => !texts.padded,
            (Kind::Number { .. }, Cast::Number) | (Kind::Float, Cast::Float) => true,
            (Kind::Number { scale, .. }, Cast::Whole) => *scale == 0,
            _ => false,
        };
        if is_same { Ok((of, kind)) } else { Err(UNKNOWN) }
    }
}

fn whole(digits: u32) -> Kind {
    Kind::Number { whole: digits, scale: 0 }
}

fn literal(digits: &str) -> Kind {
    let (before, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let count = |digits: &str| u32::try_from(digits.len()).unwrap_or(u32::MAX / 4);
    Kind::Number { whole: count(before), scale: count(behind) }
}

fn is_literal(formula: &Formula) -> bool {
    match formula {
        Formula::Number(_) => true,
        Formula::Negative(of) => is_literal(of),
        _ => false,
    }
}

/// Whether a computed column of a type holds every value of a kind as it is, so that no server rounds it or
/// notes that it did.
pub fn holds(column: &Column, kind: &Kind) -> bool {
    match (&column.ty, kind) {
        (Type::Bool, Kind::Truth) => true,
        (Type::Int { .. }, Kind::Number { scale, .. }) => *scale == 0,
        (Type::Decimal(Some(size)), Kind::Number { scale, .. }) => {
            u32::try_from(size.scale).is_ok_and(|own| *scale <= own)
        }
        (Type::Text { .. }, Kind::Text(_)) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::DecimalSize;
    use crate::plan::fixtures::{column, table};
    use crate::plan::formula::{Token, number, parse, sign, word};

    fn read(text: &str) -> Formula {
        let mut rest = text;
        let mut tokens = Vec::new();
        while let Some(first) = rest.trim_start().chars().next() {
            rest = rest.trim_start();
            let (token, length) = if first == '\'' {
                let end = rest[1..].find('\'').expect("a quote");
                (Token::Text(rest[1..=end].to_owned()), end + 2)
            } else if let Some(word) = word(rest) {
                (Token::Word(word.to_owned()), word.len())
            } else if let Some(number) = number(rest) {
                (Token::Number(number.to_owned()), number.len())
            } else {
                let sign = sign(rest).expect("a sign");
                (Token::Sign(sign), sign.len())
            };
            tokens.push(token);
            rest = &rest[length..];
        }
        parse(tokens).unwrap_or_else(|| panic!("{text}"))
    }

    fn rows() -> Table {
        let of = |name: &str, ty: Type| column(name, ty, "");
        let text = |chars| Type::Text { chars, bytes: None };
        let decimal = |precision, scale| Type::Decimal(Some(DecimalSize { precision, scale }));
        let ci = Column { exact_collation: false, ..of("ci", text(Some(9))) };
        let latin = Column { charset: Some("latin1".to_owned()), ..of("latin", text(Some(9))) };
        let labels = vec!["a".to_owned(), "b".to_owned()];
        table(
            "shop",
            "t",
            vec![
                of("n", Type::Int { bits: 32, unsigned: false }),
                of("m", Type::Int { bits: 64, unsigned: true }),
                of("price", decimal(10, 2)),
                of("free", Type::Decimal(None)),
                of("wide", decimal(60, 2)),
                of("f", Type::F64),
                of("single", Type::F32),
                of("ok", Type::Bool),
                of("v", text(None)),
                of("c", Type::Char { chars: 3 }),
                of("e", Type::Enum { labels }),
                of("day", Type::Date),
                of("at", Type::Timestamp { digits: 0 }),
                of("moment", Type::Instant { digits: 0 }),
                of("raw", Type::Bytes { bytes: None }),
                ci,
                latin,
            ],
        )
    }

    /// Broken if something were left out that every server computes alike.
    #[test]
    fn what_is_the_same_everywhere_has_a_meaning() {
        for text in [
            "n > 5 and m < 3 or not ok",
            "n + m * 2 >= -1.5",
            "n % 2 = 0",
            "free > 0",
            "price * n <> 0",
            "f > 0.5",
            "f = f",
            "ok = true",
            "v = 'a'",
            "v in ('a', 'b ')",
            "v like 'a_%'",
            "c <> 'ab'",
            "e = 'a'",
            "day >= '2024-02-29'",
            "at < '2024-02-29 10:00:00'",
            "at > '2024-02-29'",
            "moment = moment",
            "char_length(ci) > 3",
            "octet_length(v) < 9",
            "octet_length(raw) < 9",
            "single is null",
            "raw is not null",
            "left(v, 1) = 'a'",
            "v || 'x' = 'ax'",
            "n::bigint > 3",
        ] {
            let found = meaning(&read(text), &rows(), Dialect::Postgres);
            assert!(matches!(found, Ok((_, Kind::Truth))), "{text}: {found:?}");
        }
        let (formula, _) = meaning(&read("ok = 1"), &rows(), Dialect::Mysql).unwrap();
        assert_eq!(formula, read("ok = true"), "a number stands for a truth value");
    }

    /// Broken if a target were given a check that it may judge otherwise than the source.
    #[test]
    fn what_servers_may_differ_in_has_none() {
        for text in [
            "ci = 'a'",
            "ci like 'a%'",
            "v < 'b'",
            "v > v",
            "c = 'a '",
            "c = v",
            "e > 'a'",
            "e = 'z'",
            "f + 1 > 2",
            "single > 0.5",
            "f > n",
            "n % m = 0",
            "n % 0 = 1",
            "price % 2 = 0",
            "wide + wide > 0",
            "free * 2 > 1",
            "n",
            "not n",
            "ok = 2",
            "ok > 0",
            "n = 'a'",
            "day = '2024-02-30'",
            "day = '2024-02-29 10:00:00'",
            "at = 'now'",
            "moment > '2024-02-29'",
            "day = at",
            "octet_length(latin) < 9",
            "octet_length(c) < 9",
            "v like 'a\\'",
            "gone = 1",
            "c || 'x' = 'y'",
            "v = n",
            "v::integer = 1",
            "single::numeric > 1",
            "'a' = 'a'",
        ] {
            let found = meaning(&read(text), &rows(), Dialect::Postgres);
            assert!(!matches!(found, Ok((_, Kind::Truth))), "{text}: {found:?}");
        }
        assert!(
            meaning(&read("e = 'a'"), &rows(), Dialect::Mysql).is_err(),
            "labels are compared as text"
        );
    }

    /// Broken if a computed column were rounded by one server, which notes it, and not by the other.
    #[test]
    fn computed_values_are_held_whole() {
        for (text, name, fits) in [
            ("n * 2", "n", true),
            ("price * n", "price", true),
            ("price * price", "price", false),
            ("price", "n", false),
            ("n > 2", "ok", true),
            ("n", "ok", false),
            ("v || 'x'", "v", true),
            ("v || 'x'", "c", false),
            ("f", "f", false),
        ] {
            let rows = rows();
            let (_, kind) = meaning(&read(text), &rows, Dialect::Postgres).unwrap();
            let column = rows.columns.iter().find(|column| column.name == name).unwrap();
            assert_eq!(holds(column, &kind), fits, "{text} into {name}");
        }
    }
}
