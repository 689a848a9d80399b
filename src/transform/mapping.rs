//! Which column pairs may cross, and how (type-mapping §1–3). Decided once, at plan time.
//!
//! Every pair of the base types that §3.2 lists is here, in both directions; a pair that is not
//! listed is refused in words that name both native types, so that nothing crosses by accident.
//! Within one dialect equal types cross. Values are not looked at: limits go into the
//! [`Conversion`], and [`crate::transform::convert`] applies them.

use std::sync::Arc;

use crate::config::Dialect;
use crate::model::schema::{DecimalSize, JsonKind};
use crate::model::shape::Shape;
use crate::model::{Column, Type};
use crate::transform::Charset;
use crate::transform::conversion::{
    Blanks, BytesFit, ClockFit, Conversion, DecimalDigits, DecimalFit, Fit, FloatFit, JsonFit,
    Numbers, SpecialFit, TextFit, Turn,
};
use crate::transform::forms::convert::FormFit;
use crate::transform::loss::{LossClass, loss};

pub(crate) mod forms;

/// Longest value of PostgreSQL: 1 GiB less a header.
const POSTGRES_BYTES_MAX: u64 = (1 << 30) - 8192;
/// 0001-01-01 and 9999-12-31 as days since 2000-01-01.
const DATE_MIN: i32 = -730_119;
const DATE_MAX: i32 = 2_921_939;
const DAY_US: i64 = 86_400_000_000;
const CLOCK_MIN: i64 = DATE_MIN as i64 * DAY_US;
const CLOCK_MAX: i64 = (DATE_MAX as i64 + 1) * DAY_US - 1;
/// TIMESTAMP of MySQL and MariaDB: 1970-01-01 00:00:01 to 2038-01-19 03:14:07.999999 UTC.
pub(crate) const TIMESTAMP_MIN: i64 = 1_000_000 - crate::model::value::UNIX_TO_2000_US;
const TIMESTAMP_MAX: i64 = 2_147_483_647_999_999 - crate::model::value::UNIX_TO_2000_US;
/// TIME of MySQL and MariaDB ends at 838:59:59.
const DURATION_MAX: i64 = (838 * 3600 + 59 * 60 + 59) * 1_000_000;
/// MySQL's limit, what JSON_VALID of MariaDB takes; PostgreSQL is bound by its stack (a bit above
/// 6000).
const JSON_DEPTH_MYSQL: u32 = 100;
const JSON_DEPTH_MARIADB: u32 = 31;
const JSON_DEPTH_MAX: u32 = 4096;

/// The conversion of a column pair and what it may lose; the error says in words why it is refused.
pub fn pair(
    source: &Column,
    source_dialect: Dialect,
    target: &Column,
    target_dialect: Dialect,
) -> Result<(Conversion, LossClass), String> {
    let sides = Sides { source, source_dialect, target, target_dialect, way_back: false };
    let conversion = sides.conversion()?;
    let class = loss(source, source_dialect, &conversion);
    Ok((conversion, class))
}

/// The way back of a pair that crosses from `source` to `target`: from the target's value, as weir
/// wrote it, to the source's value. For match keys, so that a missed row can be read again.
pub fn reverse(
    source: &Column,
    source_dialect: Dialect,
    target: &Column,
    target_dialect: Dialect,
) -> Result<Conversion, String> {
    let sides = Sides {
        source: target,
        source_dialect: target_dialect,
        target: source,
        target_dialect: source_dialect,
        way_back: true,
    };
    sides.conversion()
}

/// Whether the server pads or compares like PostgreSQL.
const fn is_postgres(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Postgres)
}

struct Sides<'a> {
    source: &'a Column,
    source_dialect: Dialect,
    target: &'a Column,
    target_dialect: Dialect,
    /// Whether the values are weir's own, so that its conventions may be relied on.
    way_back: bool,
}

impl Sides<'_> {
    fn conversion(&self) -> Result<Conversion, String> {
        for (column, dialect) in
            [(self.source, self.source_dialect), (self.target, self.target_dialect)]
        {
            if column.ty == Type::Unsupported {
                return Err(format!("{dialect} type {} is not supported yet", column.native));
            }
        }
        let fit = match self.native()? {
            Some(fit) => fit,
            None => self.fit()?,
        };
        Ok(Conversion { nullable: self.target.nullable, fit })
    }

    /// A native type crosses into itself, untouched.
    fn native(&self) -> Result<Option<Fit>, String> {
        let (source, target) = (self.source, self.target);
        match (&source.ty, &target.ty) {
            (Type::Native { name, .. }, Type::Native { .. })
                if source.ty.is_same(&target.ty)
                    && source.native == target.native
                    && self.targets_postgres()
                    && self.same_family()
                    && !is_of_its_server(name) =>
            {
                Ok(Some(Fit::Text(self.text()?)))
            }
            (Type::Native { name, .. }, Type::Native { .. })
                if source.ty.is_same(&target.ty) && self.both_know(name) =>
            {
                Ok(Some(self.of_system().unwrap_or(Fit::Same)))
            }
            (Type::Native { .. }, _) | (_, Type::Native { .. }) => self.form(),
            _ => Ok(None),
        }
    }

    /// Whether a native type of MySQL or MariaDB is one and the same on both sides.
    fn both_know(&self, name: &str) -> bool {
        let alone = matches!(name, "inet4" | "inet6" | "vector");
        !self.targets_postgres()
            && self.same_family()
            && (!alone
                || self.source_dialect == self.target_dialect
                    && self.source.native == self.target.native)
    }

    /// What checks the reference system that the target asks for, where the source does not ask for the same.
    fn of_system(&self) -> Option<Fit> {
        let srid = |column: &Column| match column.ty.shape() {
            Some(Shape::Geometry { srid, .. }) => *srid,
            _ => None,
        };
        let asked = srid(self.target).filter(|asked| srid(self.source) != Some(*asked));
        asked.map(|srid| Fit::Form(Box::new(FormFit::OfSystem { srid })))
    }

    fn fit(&self) -> Result<Fit, String> {
        match (&self.source.ty, &self.target.ty) {
            (Type::Bool, Type::Bool | Type::Int { .. })
            | (Type::Int { .. }, Type::Bool | Type::Int { .. } | Type::Year | Type::Decimal(_))
            | (Type::Year, Type::Int { .. } | Type::Year)
            | (Type::Decimal(_), Type::Int { .. }) => self.integers(),
            (Type::Decimal(_), Type::Decimal(size)) => Ok(Fit::Decimal(self.decimal(*size))),
            (Type::Decimal(size), Type::Text { chars, .. }) => self.decimal_text(*size, *chars),
            (Type::F32 | Type::F64, Type::F32 | Type::F64) => self.floats(),
            (Type::Char { .. } | Type::Text { .. }, Type::Char { .. } | Type::Text { .. }) => {
                Ok(Fit::Text(self.text()?))
            }
            (
                Type::Binary { .. } | Type::Bytes { .. },
                Type::Binary { .. } | Type::Bytes { .. },
            ) => Ok(Fit::Bytes(self.bytes())),
            (Type::Date, Type::Date)
            | (Type::Time { .. }, Type::Time { .. })
            | (
                Type::Timestamp { .. } | Type::Instant { .. },
                Type::Timestamp { .. } | Type::Instant { .. },
            ) => self.clocks(),
            (Type::Uuid, _) | (_, Type::Uuid) => self.uuids(),
            (Type::Json(_), Type::Json(_) | Type::Text { .. })
            | (Type::Text { .. }, Type::Json(_)) => self.json(),
            (Type::Enum { .. }, _) | (_, Type::Enum { .. }) => self.enums(),
            _ => Err(self.needs_rule("no direct conversion exists")),
        }
    }

    /// The refusal of a pair without a rule.
    fn needs_rule(&self, why: &str) -> String {
        format!(
            "{} {} into {} {} needs a rule (`pair_needs_rule`): {why}",
            self.source_dialect, self.source.native, self.target_dialect, self.target.native
        )
    }

    fn same_family(&self) -> bool {
        is_postgres(self.source_dialect) == is_postgres(self.target_dialect)
    }

    fn targets_postgres(&self) -> bool {
        is_postgres(self.target_dialect)
    }

    fn integers(&self) -> Result<Fit, String> {
        let tinyint = |column: &Column, dialect| {
            column.ty == Type::Bool && !is_postgres(dialect) && !is_bit(column)
        };
        // TINYINT(1) is an integer type too; BIT(1) and boolean are none.
        let from_tinyint = tinyint(self.source, self.source_dialect);
        let into_tinyint = tinyint(self.target, self.target_dialect);
        match (&self.source.ty, &self.target.ty) {
            (Type::Bool, Type::Bool) if from_tinyint && into_tinyint => Ok(int_fit(8, false)),
            (Type::Bool, Type::Bool) => Ok(Fit::Bool),
            (Type::Bool, Type::Int { bits, unsigned }) if from_tinyint => {
                Ok(int_fit(*bits, *unsigned))
            }
            (Type::Int { .. }, Type::Bool) if into_tinyint && self.same_family() => {
                Ok(int_fit(8, false))
            }
            (Type::Int { .. }, Type::Bool) if into_tinyint => Ok(Fit::Bool),
            (Type::Int { .. }, Type::Int { bits, unsigned }) => Ok(int_fit(*bits, *unsigned)),
            (Type::Year, Type::Year) => Ok(Fit::Year),
            (Type::Year, Type::Int { bits: 16, unsigned: false }) => Ok(int_fit(16, false)),
            (Type::Int { bits: 16, unsigned: false }, Type::Year) => Ok(Fit::Year),
            (Type::Int { unsigned: true, .. }, Type::Decimal(Some(size))) if size.scale == 0 => {
                Ok(Fit::Decimal(self.decimal(Some(*size))))
            }
            (Type::Decimal(Some(size)), Type::Int { bits, unsigned: true }) if size.scale == 0 => {
                Ok(int_fit(*bits, true))
            }
            _ => Err(self.needs_rule("the two are different kinds of number")),
        }
    }

    fn decimal(&self, size: Option<DecimalSize>) -> DecimalFit {
        let special = match (self.targets_postgres(), size) {
            (false, _) => SpecialFit::Nothing,
            (true, Some(_)) => SpecialFit::NaN,
            (true, None) => SpecialFit::All,
        };
        DecimalFit {
            size: size.map(|size| DecimalDigits {
                whole_max: i32::from(size.precision) - i32::from(size.scale),
                scale: i32::from(size.scale),
            }),
            negative: !is_unsigned(self.target),
            special,
        }
    }

    /// A numeric that no DECIMAL can hold crosses as text.
    fn decimal_text(&self, size: Option<DecimalSize>, chars: Option<u32>) -> Result<Fit, String> {
        let too_wide = size.is_some_and(|size| size.precision > 65 || size.scale > 30);
        if too_wide && is_postgres(self.source_dialect) && !self.targets_postgres() {
            self.charset()?;
            return Ok(Fit::DecimalText { chars_max: chars.map(u64::from) });
        }
        Err(self.needs_rule("a number into text wants a format"))
    }

    fn floats(&self) -> Result<Fit, String> {
        // Where the source rounds to the same number of digits, there is nothing left to round.
        let alike = self.same_family() && self.source.native == self.target.native;
        if !self.targets_postgres() && self.target.native.contains(',') && !alike {
            return Err(self.needs_rule("the target rounds to a number of digits"));
        }
        let fit = FloatFit {
            special: self.targets_postgres(),
            negative_zero: self.target_dialect != Dialect::Mariadb,
            negative: !is_unsigned(self.target),
        };
        Ok(if self.target.ty == Type::F32 { Fit::F32(fit) } else { Fit::F64(fit) })
    }

    fn charset(&self) -> Result<Charset, String> {
        if self.targets_postgres() {
            return Ok(Charset::Utf8);
        }
        let Some(name) = self.target.charset.as_deref() else { return Ok(Charset::Utf8) };
        Charset::named(name, self.target_dialect == Dialect::Mariadb)
            .ok_or_else(|| format!("weir does not know the target column's character set {name}"))
    }

    /// Limits of the target as text; also for labels of an enum.
    fn text(&self) -> Result<TextFit, String> {
        let (chars, bytes) = match &self.target.ty {
            Type::Char { chars } => (Some(*chars), None),
            Type::Text { chars, bytes } => (*chars, *bytes),
            _ => (None, None),
        };
        let padded = |ty: &Type| matches!(ty, Type::Char { .. });
        Ok(TextFit {
            chars_max: chars.map(u64::from),
            bytes_max: bytes.or(self.targets_postgres().then_some(POSTGRES_BYTES_MAX)),
            charset: self.charset()?,
            nul: !self.targets_postgres(),
            blanks: match (padded(&self.source.ty), padded(&self.target.ty)) {
                (true, _) => Blanks::Trim,
                (false, true) => Blanks::Refuse,
                (false, false) => Blanks::Keep,
            },
        })
    }

    fn bytes(&self) -> BytesFit {
        let pad_to = match self.source.ty {
            Type::Binary { bytes } => Some(bytes),
            _ => None,
        };
        match self.target.ty {
            Type::Binary { bytes } => {
                BytesFit { bytes_max: None, bytes_exact: Some(bytes), pad_to }
            }
            Type::Bytes { bytes } => BytesFit {
                bytes_max: bytes.or(self.targets_postgres().then_some(POSTGRES_BYTES_MAX)),
                bytes_exact: None,
                pad_to,
            },
            _ => BytesFit { bytes_max: None, bytes_exact: None, pad_to },
        }
    }

    fn clocks(&self) -> Result<Fit, String> {
        let postgres_only = is_postgres(self.source_dialect) && self.targets_postgres();
        match (&self.source.ty, &self.target.ty) {
            (Type::Date, Type::Date) if postgres_only => {
                Ok(Fit::Date { min: i32::MIN, max: i32::MAX, infinity: true, invalid: false })
            }
            (Type::Date, Type::Date) => {
                let invalid = self.same_family();
                Ok(Fit::Date { min: DATE_MIN, max: DATE_MAX, infinity: false, invalid })
            }
            (Type::Time { .. }, Type::Time { digits }) => Ok(if self.targets_postgres() {
                Fit::Time { min: 0, max: DAY_US, digits: *digits }
            } else {
                Fit::Time { min: -DURATION_MAX, max: DURATION_MAX, digits: *digits }
            }),
            (Type::Timestamp { .. }, Type::Timestamp { digits }) => {
                Ok(self.clock(Turn::Wall, *digits))
            }
            (Type::Instant { .. }, Type::Instant { digits }) => {
                Ok(self.clock(Turn::Moment, *digits))
            }
            // timestamptz into DATETIME is the UTC convention; only weir's own values come back.
            (Type::Instant { .. }, Type::Timestamp { digits })
                if is_postgres(self.source_dialect) && !self.targets_postgres() =>
            {
                Ok(self.clock(Turn::MomentToUtc, *digits))
            }
            (Type::Timestamp { .. }, Type::Instant { digits })
                if self.way_back
                    && !is_postgres(self.source_dialect)
                    && self.targets_postgres() =>
            {
                Ok(self.clock(Turn::UtcToMoment, *digits))
            }
            _ => Err(self.needs_rule("the time zone of the wall clock is not known")),
        }
    }

    fn clock(&self, turn: Turn, digits: u8) -> Fit {
        let postgres_only = is_postgres(self.source_dialect) && self.targets_postgres();
        let (min, max) = match (&self.target.ty, self.targets_postgres()) {
            (Type::Instant { .. }, false) => (TIMESTAMP_MIN, TIMESTAMP_MAX),
            _ if postgres_only => (i64::MIN, i64::MAX),
            _ => (CLOCK_MIN, CLOCK_MAX),
        };
        let zero_epoch =
            !is_postgres(self.source_dialect) && matches!(self.source.ty, Type::Instant { .. });
        let invalid = self.same_family() && !postgres_only;
        let infinity = postgres_only;
        Fit::Clock(ClockFit { turn, min, max, digits, infinity, invalid, zero_epoch })
    }

    fn uuids(&self) -> Result<Fit, String> {
        let text =
            |ty: &Type| matches!(ty, Type::Char { chars: 36 } | Type::Text { chars: Some(36), .. });
        match (&self.source.ty, &self.target.ty) {
            (Type::Uuid, Type::Uuid) => Ok(Fit::Uuid),
            (Type::Uuid, ty) if text(ty) => {
                self.charset()?;
                Ok(Fit::UuidText)
            }
            (ty, Type::Uuid) if text(ty) => Ok(Fit::UuidFromText { lower_only: self.way_back }),
            (Type::Uuid, Type::Binary { bytes: 16 }) => Ok(Fit::UuidBytes),
            (Type::Binary { bytes: 16 }, Type::Uuid) if self.way_back => Ok(Fit::UuidFromBytes),
            (Type::Binary { .. }, Type::Uuid) => {
                Err(self.needs_rule("the order of the bytes is not known"))
            }
            _ => Err(self.needs_rule("a uuid crosses into uuid, CHAR(36) or BINARY(16)")),
        }
    }

    fn json(&self) -> Result<Fit, String> {
        let verbatim = Type::Json(JsonKind::Verbatim);
        let kind = |ty: &Type| match ty {
            Type::Json(kind) => *kind,
            _ => JsonKind::Verbatim,
        };
        let into_text = !matches!(self.target.ty, Type::Json(_));
        let from_text = !matches!(self.source.ty, Type::Json(_));
        let long_text = |ty: &Type| matches!(ty, Type::Text { chars: None, bytes } if bytes.is_none_or(|max| max >= 1 << 30));
        // Only the text that PostgreSQL json keeps is the same as a LONGTEXT.
        if (into_text && (self.source.ty != verbatim || !long_text(&self.target.ty)))
            || (from_text && (self.target.ty != verbatim || !long_text(&self.source.ty)))
            || ((into_text || from_text) && self.same_family())
            || (into_text && self.targets_postgres())
            || (from_text && !self.targets_postgres())
        {
            return Err(self.needs_rule("only json crosses into LONGTEXT and back"));
        }
        if self.charset()? != Charset::Utf8 {
            return Err(self.needs_rule("JSON wants a column of character set utf8mb4"));
        }
        let (source, target) = (kind(&self.source.ty), kind(&self.target.ty));
        // MariaDB's JSON is text with a check, which takes less than PostgreSQL and MySQL do.
        let checked = self.target_dialect == Dialect::Mariadb && !into_text;
        let trusted = !from_text
            && (self.source_dialect == self.target_dialect && source == target
                || !checked
                    && target == JsonKind::Verbatim
                    && (source == JsonKind::Mysql
                        || is_postgres(self.source_dialect) && !self.targets_postgres()));
        let max = match &self.target.ty {
            Type::Text { bytes, .. } => *bytes,
            _ => None,
        };
        Ok(Fit::Json(JsonFit {
            into_text,
            unchecked: trusted,
            depth_max: match target {
                _ if checked => JSON_DEPTH_MARIADB,
                JsonKind::Mysql => JSON_DEPTH_MYSQL,
                _ => JSON_DEPTH_MAX,
            },
            unique_names: target != JsonKind::Verbatim && source == JsonKind::Verbatim,
            no_nul: target == JsonKind::Binary,
            no_lone_surrogates: checked || target != JsonKind::Verbatim,
            numbers: match target {
                JsonKind::Verbatim => Numbers::Any,
                JsonKind::Binary => Numbers::Numeric,
                JsonKind::Mysql => Numbers::Mysql,
            },
            bytes_max: max.or(self.targets_postgres().then_some(POSTGRES_BYTES_MAX)),
        }))
    }

    fn enums(&self) -> Result<Fit, String> {
        match (&self.source.ty, &self.target.ty) {
            (Type::Enum { .. }, Type::Enum { labels }) => Ok(label_fit(labels)),
            (Type::Text { .. }, Type::Enum { labels })
                if is_postgres(self.source_dialect) && !self.targets_postgres() =>
            {
                Ok(label_fit(labels))
            }
            (Type::Enum { .. }, Type::Text { .. })
                if !is_postgres(self.source_dialect) && self.targets_postgres() =>
            {
                Ok(Fit::EnumText(self.text()?))
            }
            _ => Err(self.needs_rule("an enum crosses into an enum, or between ENUM and text")),
        }
    }
}

/// Types of PostgreSQL whose text says something else, or nothing, at another server: money in its
/// locale's spelling, and the names of objects.
fn is_of_its_server(name: &str) -> bool {
    let name = name.trim_start_matches('_');
    name == "money" || name.starts_with("reg") && !name.contains('.')
}

pub(super) fn label_fit(labels: &[String]) -> Fit {
    let mut sorted: Vec<Box<str>> = labels.iter().map(|label| label.as_str().into()).collect();
    sorted.sort_unstable();
    Fit::Enum { labels: Arc::from(sorted) }
}

/// Bounds of an integer column of `bits`.
pub(crate) fn int_fit(bits: u8, unsigned: bool) -> Fit {
    let bits = u32::from(bits.clamp(8, 64));
    if unsigned {
        Fit::Int { min: 0, max: u64::MAX >> (64 - bits) }
    } else {
        Fit::Int { min: i64::MIN >> (64 - bits), max: (i64::MAX >> (64 - bits)) as u64 }
    }
}

pub(super) fn is_unsigned(column: &Column) -> bool {
    column.native.to_ascii_lowercase().contains("unsigned")
}

fn is_bit(column: &Column) -> bool {
    column.native.to_ascii_lowercase().starts_with("bit")
}

#[cfg(test)]
mod tests;
