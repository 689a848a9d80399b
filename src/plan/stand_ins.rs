//! The type that a column gets at a target that is made for it, where `[conversion]` names another than the
//! usual one. Pure; how its values then cross is in `transform`.

use crate::config::Dialect;
use crate::model::shape::Shape;
use crate::model::{Column, DefaultValue, Type};
use crate::transform::rules::{Settings, zerofill_width};

/// Text of any length.
const TEXT: Type = Type::Text { chars: None, bytes: None };

/// What the settings have done to a column.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Its type is as ever, or has been replaced.
    Made,
    /// It is to be held as a moment (TIMESTAMP), not as the wall clock of UTC.
    Moment,
    /// This setting names a type by which no key can be matched.
    InKey(&'static str),
}

/// Gives a column, on its way from one dialect to the other, the type that the settings name.
pub(super) fn stand_in(
    column: &mut Column,
    (from, to): (Dialect, Dialect),
    settings: &Settings,
    in_key: bool,
) -> Stand {
    let named = match (from == Dialect::Postgres, to == Dialect::Postgres) {
        (true, false) => match &column.ty {
            Type::Instant { .. } if settings.says("timestamptz_as", "timestamp") => {
                return Stand::Moment;
            }
            Type::Decimal(None) => Some(("numeric_unconstrained", "text", TEXT)),
            Type::Json(_) => Some(("json_as", "text", TEXT)),
            _ => None,
        },
        (false, true) => entering(column),
        _ => None,
    };
    let Some((name, _, ty)) = named.filter(|(name, word, _)| settings.says(name, word)) else {
        return Stand::Made;
    };
    if in_key && !matches!(name, "tinyint1" | "zerofill") {
        return Stand::InKey(name);
    }
    if let Some(DefaultValue::Literal(value)) = &column.default {
        let value = default(column, name, value);
        column.default = Some(DefaultValue::Literal(value));
    }
    column.ty = ty;
    Stand::Made
}

/// What may stand for a column of MySQL or MariaDB: the setting, its word, and the type.
fn entering(column: &Column) -> Option<(&'static str, &'static str, Type)> {
    match &column.ty {
        // BIT(1) is a boolean too, and nothing else.
        Type::Bool if column.native.to_ascii_lowercase().starts_with("tinyint") => {
            Some(("tinyint1", "smallint", Type::Int { bits: 16, unsigned: false }))
        }
        Type::Time { digits } => {
            let shape = Shape::Interval { digits: *digits, whole: true };
            let ty = Type::Native { name: "interval".to_owned(), modifier: -1, shape };
            Some(("time_as", "interval", ty))
        }
        Type::Int { bits, .. } => {
            // Longer numbers than the width are shown in full.
            let longest = (u64::MAX >> (64 - u32::from(*bits).clamp(8, 64))).to_string().len();
            let chars = u32::try_from(zerofill_width(column)?.max(longest)).ok()?;
            Some(("zerofill", "text", Type::Text { chars: Some(chars), bytes: None }))
        }
        _ => None,
    }
}

/// A default in the words of the type that stands in.
fn default(column: &Column, name: &str, value: &str) -> String {
    match (name, value) {
        ("tinyint1", "true") => "1".to_owned(),
        ("tinyint1", "false") => "0".to_owned(),
        ("zerofill", digits) => {
            format!("{digits:0>width$}", width = zerofill_width(column).unwrap_or(0))
        }
        (_, value) => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Dialect::{Mysql, Postgres};
    use crate::model::schema::JsonKind;
    use crate::plan::fixtures::column;
    use crate::transform::rules::settings::{choice, setting};

    fn stood(ty: Type, native: &str, way: (Dialect, Dialect), said: (&str, &str)) -> Column {
        let setting = setting(said.0).unwrap();
        let settings = [(setting.name, choice(setting, said.1).unwrap())];
        let mut made = column("c", ty, native);
        made.default = Some(DefaultValue::Literal("1".to_owned()));
        assert_eq!(stand_in(&mut made, way, &Settings(settings.into()), false), Stand::Made);
        made
    }

    /// Broken if a column were made of another type than the settings name, or of theirs on the way on
    /// which they say nothing.
    #[test]
    fn settings_name_the_type() {
        let int = |bits, unsigned| Type::Int { bits, unsigned };
        let (in_, out) = ((Mysql, Postgres), (Postgres, Mysql));
        let chars = |chars| Type::Text { chars: Some(chars), bytes: None };
        for (ty, native, way, said, expected) in [
            (Type::Bool, "tinyint(1)", in_, ("tinyint1", "smallint"), int(16, false)),
            (Type::Bool, "tinyint(1)", in_, ("tinyint1", "boolean"), Type::Bool),
            (Type::Bool, "bit(1)", in_, ("tinyint1", "smallint"), Type::Bool),
            (int(32, true), "int(8) unsigned zerofill", in_, ("zerofill", "text"), chars(10)),
            (int(8, true), "tinyint(5) unsigned zerofill", in_, ("zerofill", "text"), chars(5)),
            (int(32, true), "int(8) unsigned", in_, ("zerofill", "text"), int(32, true)),
            (Type::Decimal(None), "numeric", out, ("numeric_unconstrained", "text"), TEXT),
            (Type::Json(JsonKind::Binary), "jsonb", out, ("json_as", "text"), TEXT),
            (
                Type::Json(JsonKind::Mysql),
                "json",
                in_,
                ("json_as", "text"),
                Type::Json(JsonKind::Mysql),
            ),
        ] {
            assert_eq!(stood(ty, native, way, said).ty, expected, "{native} {said:?}");
        }
        let time = stood(Type::Time { digits: 3 }, "time(3)", in_, ("time_as", "interval"));
        assert_eq!(time.ty.shape(), Some(&Shape::Interval { digits: 3, whole: true }));
    }

    /// Broken if a default meant something else than the source's, or a key became one that rows cannot be
    /// matched by.
    #[test]
    fn defaults_and_keys_are_kept() {
        let zeros = stood(
            Type::Int { bits: 32, unsigned: true },
            "int(8) unsigned zerofill",
            (Mysql, Postgres),
            ("zerofill", "text"),
        );
        assert_eq!(zeros.default, Some(DefaultValue::Literal("00000001".to_owned())));
        let settings = ["numeric_unconstrained", "timestamptz_as"].map(|name| {
            let setting = setting(name).unwrap();
            (setting.name, choice(setting, setting.words[1]).unwrap())
        });
        let settings = Settings(settings.into());
        let mut amount = column("c", Type::Decimal(None), "numeric");
        let stand = stand_in(&mut amount, (Postgres, Mysql), &settings, true);
        assert_eq!(stand, Stand::InKey("numeric_unconstrained"));
        assert_eq!(amount.ty, Type::Decimal(None));
        let mut moment = column("c", Type::Instant { digits: 6 }, "timestamptz");
        let stand = stand_in(&mut moment, (Postgres, Mysql), &settings, true);
        assert_eq!(stand, Stand::Moment);
    }
}
