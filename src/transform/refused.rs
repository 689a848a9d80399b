//! What a column pair may refuse, in words, as `weir explain` prints it beside `range-checked`.
//!
//! Said of the compiled limits alone; that a value is refused is decided in `coerce`. Pure.

use crate::config::Dialect;
use crate::model::shape::Shape;
use crate::model::{Column, Type};
use crate::transform::Charset;
use crate::transform::conversion::{
    Blanks, BytesFit, ClockFit, Conversion, DecimalFit, Fit, FloatFit, JsonFit, Numbers,
    SpecialFit, TextFit, Turn,
};
use crate::transform::forms::convert::FormFit;
use crate::transform::loss::{LossClass, has_calendar, has_characters, has_sign, loss};
use crate::transform::mapping::{TIMESTAMP_MIN, int_fit};

/// Labels that one text names at most.
const LABELS_MAX: usize = 4;

/// What values of `source`, a column of `dialect`, do not cross; nothing where all of them do.
pub(crate) fn refused(source: &Column, dialect: Dialect, conversion: &Conversion) -> Vec<String> {
    if loss(source, dialect, conversion) != LossClass::RangeChecked {
        return Vec::new();
    }
    let said = Said { source, postgres: dialect == Dialect::Postgres };
    let mut texts = said.of(&conversion.fit);
    if source.nullable && !conversion.nullable {
        texts.insert(0, "NULL".to_owned());
    }
    if texts.is_empty() {
        texts.push("what does not fit".to_owned());
    }
    texts
}

struct Said<'a> {
    source: &'a Column,
    postgres: bool,
}

impl Said<'_> {
    fn of(&self, fit: &Fit) -> Vec<String> {
        match fit {
            Fit::Bool => vec!["numbers but 0 and 1".to_owned()],
            Fit::Int { min, max } => self.integers(*min, *max),
            Fit::Year => vec!["years but 0 and 1901 to 2155".to_owned()],
            Fit::Decimal(fit) => self.decimals(fit),
            Fit::DecimalText { chars_max } => too_long(*chars_max),
            Fit::F32(fit) => self.floats(fit, true),
            Fit::F64(fit) => self.floats(fit, false),
            Fit::Text(fit) => self.texts(fit),
            Fit::EnumText(fit) => {
                let mut said = vec!["the invalid value of an ENUM".to_owned()];
                said.extend(self.texts(fit));
                said
            }
            Fit::Bytes(fit) => bytes(fit),
            Fit::Date { infinity, invalid, .. } => self.dates(*infinity, *invalid, false),
            Fit::Time { min, digits, .. } => self.times(*min, *digits),
            Fit::Clock(fit) => self.clocks(fit),
            Fit::UuidFromText { .. } => vec!["texts that are no UUID".to_owned()],
            Fit::Uuid | Fit::UuidFromBytes | Fit::UuidText | Fit::UuidBytes | Fit::Same => {
                Vec::new()
            }
            Fit::Json(fit) => documents(fit),
            Fit::Enum { labels } => self.labels(labels),
            Fit::Form(fit) => self.form(fit),
        }
    }

    /// What is refused of a type that only one dialect has.
    fn form(&self, fit: &FormFit) -> Vec<String> {
        let said = |text: &str| vec![text.to_owned()];
        match fit {
            FormFit::Text(fit) | FormFit::Labels(fit) => self.texts(fit),
            FormFit::Parsed { .. } => said("texts that are no value of the target's type"),
            FormFit::Number { max } | FormFit::NumberText { max } => {
                vec![format!("numbers outside 0 to {max}")]
            }
            FormFit::Money { .. } | FormFit::MoneyText { .. } | FormFit::MoneySame { .. } => {
                said("amounts that the target would round or has no room for")
            }
            FormFit::Bits { .. } | FormFit::Bit | FormFit::BitsText { .. } => Vec::new(),
            FormFit::Json { ty, fit } => {
                let mut texts = documents(fit);
                if matches!(ty.shape(), Some(Shape::Array { .. })) {
                    texts.insert(0, "arrays that do not begin at 1".to_owned());
                }
                texts
            }
            FormFit::FromJson { .. } => said("documents that are no value of the target's type"),
            FormFit::Time { .. } => said("months, days, and more than 838:59:59"),
            FormFit::IntervalOfTime { digits } => self.fraction(*digits).into_iter().collect(),
            FormFit::Point => said("NaN and infinite coordinates"),
            FormFit::PointText => said("points of a reference system"),
            FormFit::Ewkb | FormFit::EwkbText => said("broken geometries"),
            FormFit::Geometry { srid, .. } => {
                let text =
                    "geometries of more than two dimensions, curves, and what is no geometry";
                let other = srid.map(|srid| format!("any SRID but {srid}"));
                said(text).into_iter().chain(other).collect()
            }
            FormFit::OfSystem { srid } => vec![format!("any SRID but {srid}")],
            FormFit::Vector { count } | FormFit::VectorText { count, .. } => match count {
                Some(count) => vec![format!("any length but {count}"), "NaN and infinities".into()],
                None => said("NaN and infinities"),
            },
            FormFit::Set { .. } | FormFit::SetOfArray { .. } => {
                said("labels that the target lacks, and one twice")
            }
            FormFit::LabelsArray { .. } => Vec::new(),
            FormFit::Address { bytes: 4 } => said("masks, and addresses of IPv6"),
            FormFit::Address { .. } => said("masks, and addresses of IPv4"),
        }
    }

    fn integers(&self, min: i64, max: u64) -> Vec<String> {
        match &self.source.ty {
            Type::Int { bits, unsigned }
                if int_fit(*bits, *unsigned) == (Fit::Int { min, max }) =>
            {
                Vec::new()
            }
            _ => vec![format!("numbers outside {min} to {max}")],
        }
    }

    fn decimals(&self, fit: &DecimalFit) -> Vec<String> {
        let mut said = Vec::new();
        let narrower = |whole: i32, scale: i32| match &self.source.ty {
            Type::Decimal(Some(size)) => {
                i32::from(size.precision) - i32::from(size.scale) > whole
                    || i32::from(size.scale) > scale
            }
            Type::Int { .. } | Type::Decimal(None) => true,
            _ => false,
        };
        if let Some(size) = fit.size.filter(|size| narrower(size.whole_max, size.scale)) {
            said.push(format!(
                "more than {} digits before the point or {} after it",
                size.whole_max.max(0),
                size.scale.max(0)
            ));
        }
        if self.postgres {
            match fit.special {
                SpecialFit::Nothing => said.push("NaN and infinities".to_owned()),
                SpecialFit::NaN => said.push("infinities".to_owned()),
                SpecialFit::All => {}
            }
        }
        said.extend(self.negative(fit.negative));
        said
    }

    fn floats(&self, fit: &FloatFit, single: bool) -> Vec<String> {
        let mut said = Vec::new();
        if single && self.source.ty == Type::F64 {
            said.push("numbers that 32 bits do not hold exactly".to_owned());
        }
        if self.postgres && !fit.special {
            said.push("NaN and infinities".to_owned());
        }
        said.extend(self.negative(fit.negative));
        said
    }

    fn negative(&self, fits: bool) -> Option<String> {
        (!has_sign(self.source, fits)).then(|| "negative numbers".to_owned())
    }

    fn texts(&self, fit: &TextFit) -> Vec<String> {
        let (own_chars, own_bytes) = match &self.source.ty {
            Type::Char { chars } => (Some(u64::from(*chars)), None),
            Type::Text { chars, bytes } => (chars.map(u64::from), *bytes),
            _ => (None, None),
        };
        let longer = |own: Option<u64>, max: &u64| own.is_none_or(|own| own > *max);
        let own_chars = own_chars.or(own_bytes);
        let mut said = too_long(fit.chars_max.filter(|max| longer(own_chars, max)));
        // A character takes four bytes at most.
        let own_bytes = own_bytes.or(own_chars.map(|chars| chars.saturating_mul(4)));
        if let Some(max) = fit.bytes_max.filter(|max| longer(own_bytes, max)) {
            said.push(format!("more than {max} bytes"));
        }
        match fit.charset {
            charset if has_characters(self.source, charset) => {}
            Charset::Utf8mb3 | Charset::Ucs2 => said.push("characters beyond U+FFFF".to_owned()),
            Charset::Ascii => said.push("characters that ASCII lacks".to_owned()),
            charset => said.push(format!("characters that {} lacks", charset.name())),
        }
        if !fit.nul && !self.postgres {
            said.push("the character U+0000".to_owned());
        }
        if fit.blanks == Blanks::Refuse {
            said.push("blanks at the end".to_owned());
        }
        said
    }

    /// What a calendar of the source has and the target has not.
    fn dates(&self, infinity: bool, invalid: bool, moment: bool) -> Vec<String> {
        let what = match (self.postgres, moment) {
            _ if has_calendar(self.postgres, infinity, invalid) => return Vec::new(),
            (true, _) => "infinity and years outside 1 to 9999",
            (false, true) => "the zero date",
            (false, false) => "zero dates and days that no calendar has",
        };
        vec![what.to_owned()]
    }

    fn times(&self, min: i64, digits: u8) -> Vec<String> {
        let mut said = Vec::new();
        if min == 0 && !self.postgres {
            said.push("less than 0 or more than 24 hours".to_owned());
        }
        said.extend(self.fraction(digits));
        said
    }

    fn fraction(&self, digits: u8) -> Option<String> {
        let own = match self.source.ty {
            Type::Time { digits } | Type::Timestamp { digits } | Type::Instant { digits } => digits,
            _ => 0,
        };
        (own > digits).then(|| format!("more than {digits} digits of a second's fraction"))
    }

    fn clocks(&self, fit: &ClockFit) -> Vec<String> {
        let mut said = self.dates(fit.infinity, fit.invalid, fit.turn == Turn::Moment);
        if fit.min == TIMESTAMP_MIN && self.postgres {
            said =
                vec!["what is not from 1970-01-01 00:00:01 to 2038-01-19 03:14:07 UTC".to_owned()];
        }
        said.extend(self.fraction(fit.digits));
        said
    }

    fn labels(&self, labels: &[Box<str>]) -> Vec<String> {
        let lacks = |label: &&String| {
            labels.binary_search_by(|other| other.as_ref().cmp(label.as_str())).is_err()
        };
        let mut said = Vec::new();
        match &self.source.ty {
            Type::Enum { labels } => {
                let missing: Vec<&str> =
                    labels.iter().filter(lacks).take(LABELS_MAX).map(String::as_str).collect();
                if !missing.is_empty() {
                    said.push(format!("labels that the target lacks ({})", missing.join(", ")));
                }
                if !self.postgres {
                    said.push("the invalid value of an ENUM".to_owned());
                }
            }
            _ => said.push("what is none of the labels".to_owned()),
        }
        said
    }
}

fn too_long(chars_max: Option<u64>) -> Vec<String> {
    chars_max.map(|max| format!("more than {max} characters")).into_iter().collect()
}

fn bytes(fit: &BytesFit) -> Vec<String> {
    match (fit.bytes_exact, fit.bytes_max) {
        (Some(exact), _) => vec![format!("any length but {exact} bytes")],
        (None, Some(max)) => vec![format!("more than {max} bytes")],
        (None, None) => Vec::new(),
    }
}

fn documents(fit: &JsonFit) -> Vec<String> {
    let mut said = Vec::new();
    if !fit.unchecked {
        said.push(format!("more than {} levels", fit.depth_max));
        for (refused, what) in [
            (fit.unique_names, "a name twice in an object"),
            (fit.no_nul, "\\u0000"),
            (fit.no_lone_surrogates, "lone surrogates"),
            (
                fit.numbers == Numbers::Mysql,
                "numbers that neither 64 bits nor a double hold exactly",
            ),
        ] {
            said.extend(refused.then(|| what.to_owned()));
        }
    }
    if let Some(max) = fit.bytes_max {
        said.push(format!("more than {max} bytes"));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::JsonKind;
    use crate::plan::fixtures::column;
    use crate::transform::pair;

    /// Broken if `explain` promised that a value crosses which does not, or warned of what no value is.
    #[test]
    fn limits_are_told_in_words() {
        let check = |from, to, source: Type, target: Type, expected: &[&str]| {
            let (source, target) = (column("c", source, "tinyint(1)"), column("c", target, ""));
            let (conversion, _) = pair(&source, from, &target, to).unwrap();
            assert_eq!(refused(&source, from, &conversion), expected, "{source:?} {target:?}");
        };
        let text = |chars| Type::Text { chars, bytes: None };
        let int = |bits, unsigned| Type::Int { bits, unsigned };
        let wall = |digits| Type::Timestamp { digits };
        let moment = || Type::Instant { digits: 0 };

        let mysql = |source, target, expected: &[&str]| {
            check(Dialect::Mysql, Dialect::Postgres, source, target, expected);
        };
        let zero_dates = "zero dates and days that no calendar has";
        mysql(int(32, true), int(64, false), &[]);
        let range = "numbers outside -9223372036854775808 to 9223372036854775807";
        mysql(int(64, true), int(64, false), &[range]);
        mysql(text(Some(9)), text(Some(9)), &["the character U+0000"]);
        mysql(Type::Date, Type::Date, &[zero_dates]);
        mysql(wall(6), wall(0), &[zero_dates, "more than 0 digits of a second's fraction"]);
        mysql(moment(), moment(), &["the zero date"]);
        mysql(Type::Bool, Type::Bool, &["numbers but 0 and 1"]);

        let postgres = |source, target, expected: &[&str]| {
            check(Dialect::Postgres, Dialect::Mysql, source, target, expected);
        };
        postgres(text(None), text(Some(9)), &["more than 9 characters"]);
        postgres(text(Some(5)), text(Some(9)), &[]);
        let span = "what is not from 1970-01-01 00:00:01 to 2038-01-19 03:14:07 UTC";
        postgres(moment(), moment(), &[span]);
        postgres(Type::F64, Type::F64, &["NaN and infinities"]);
        let (binary, own) = (Type::Json(JsonKind::Binary), Type::Json(JsonKind::Mysql));
        let numbers = "numbers that neither 64 bits nor a double hold exactly";
        postgres(binary, own, &["more than 100 levels", "lone surrogates", numbers]);
    }
}
