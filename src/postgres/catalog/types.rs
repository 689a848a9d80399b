//! Columns of the PostgreSQL catalog and their logical types.
//!
//! A type that only PostgreSQL has is [`Type::Native`], with what it is made of (`shapes`). Domains are resolved down to their base type, with the limits of the nearest domain that
//! sets any; a domain's NOT NULL counts as the column's.
//! Source: PostgreSQL manual, "pg_attribute", "pg_type"; the type modifiers as `format_type`
//! reads them.

use tokio_postgres::Row;
use tokio_postgres::types::Type as Builtin;

use super::shapes::{Shapes, shape};
use super::{defaults, formula};
use crate::model::schema::{DecimalSize, JsonKind};
use crate::model::{Column, TableName, Type};

/// Columns of the tables `$1`, in order.
pub(super) const COLUMNS: &str = "
SELECT a.attrelid AS oid, a.attnum AS number, a.attname::text AS name,
       b.typid, b.typmod,
       CASE WHEN b.depth = 0 THEN format_type(a.atttypid, a.atttypmod)
            WHEN t.typtype = 'e' OR b.typid < 16384 THEN format_type(b.typid, b.typmod)
            ELSE format_type(a.atttypid, a.atttypmod) END AS native,
       NOT (a.attnotnull OR b.required) AS nullable,
       a.attgenerated <> '' AS generated, a.attidentity <> '' AS identity,
       a.atthasdef OR b.has_default AS has_default,
       COALESCE(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false) AS serial,
       pg_get_expr(d.adbin, d.adrelid) AS default_text, col_description(a.attrelid, a.attnum) AS comment,
       COALESCE(o.collisdeterministic, true) AS exact, q.schemas, q.sequences,
       (SELECT array_agg(DISTINCT n.nspname::text ORDER BY n.nspname::text)
        FROM pg_type u JOIN pg_namespace n ON n.oid = u.typnamespace
        WHERE u.oid >= 16384 AND u.oid = CASE
          WHEN b.depth > 0 AND (t.typtype = 'e' OR b.typid < 16384) THEN b.typid ELSE a.atttypid END) AS type_schemas
FROM pg_attribute a
CROSS JOIN LATERAL (
  WITH RECURSIVE r(depth, typid, typmod, required, has_default) AS (
    SELECT 0, a.atttypid, a.atttypmod, false, false
    UNION ALL
    SELECT r.depth + 1, p.typbasetype, CASE WHEN p.typtypmod <> -1 THEN p.typtypmod ELSE r.typmod END,
           r.required OR p.typnotnull, r.has_default OR p.typdefault IS NOT NULL
    FROM r JOIN pg_type p ON p.oid = r.typid WHERE p.typtype = 'd')
  SELECT * FROM r ORDER BY depth DESC LIMIT 1) AS b
JOIN pg_type t ON t.oid = b.typid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN LATERAL (
  SELECT array_agg(sn.nspname::text ORDER BY s.oid) AS schemas,
         array_agg(s.relname::text ORDER BY s.oid) AS sequences
  FROM pg_depend p JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S'
  JOIN pg_namespace sn ON sn.oid = s.relnamespace
  WHERE p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid
    AND p.refclassid = 'pg_class'::regclass) AS q ON true
LEFT JOIN pg_collation o ON o.oid = a.attcollation
WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum";

/// One row of [`COLUMNS`].
pub(super) fn column(row: &Row, shapes: &Shapes) -> Column {
    let ty = shapes.of(row.get("typid"), row.get("typmod"));
    let (generated, identity, serial): (bool, bool, bool) =
        (row.get("generated"), row.get("identity"), row.get("serial"));
    let printed: Option<&str> = row.get("default_text");
    let names = |column: &str| row.get::<_, Option<Vec<String>>>(column).unwrap_or_default();
    let sequences = names("schemas").into_iter().zip(names("sequences"));
    let is_text = matches!(ty, Type::Char { .. } | Type::Text { .. } | Type::Enum { .. });
    Column {
        name: row.get("name"),
        exact_collation: !is_text || row.get("exact"),
        ty,
        native: row.get("native"),
        nullable: row.get("nullable"),
        generated,
        formula: printed.filter(|_| generated).and_then(formula::of),
        row_end: false,
        has_default: !generated && (identity || row.get("has_default")),
        default: printed.filter(|_| !generated).and_then(defaults::of),
        comment: row.get("comment"),
        sequences: sequences.map(|(schema, name)| TableName::new(schema, name)).collect(),
        type_schemas: names("type_schemas"),
        auto_increment: identity || serial && !generated,
        on_update_now: false,
        charset: None,
    }
}

/// The logical type of a base type and its modifier.
pub(in crate::postgres) fn logical(oid: u32, modifier: i32) -> Type {
    // Limits of character types and numerics are stored with 4 added; -1 is none.
    let limit = u32::try_from(modifier.saturating_sub(4)).ok();
    let digits = u8::try_from(modifier).unwrap_or(6).min(6);
    match Builtin::from_oid(oid) {
        Some(Builtin::BOOL) => Type::Bool,
        Some(Builtin::INT2) => Type::Int { bits: 16, unsigned: false },
        Some(Builtin::INT4) => Type::Int { bits: 32, unsigned: false },
        Some(Builtin::INT8) => Type::Int { bits: 64, unsigned: false },
        Some(Builtin::NUMERIC) => Type::Decimal(limit.map(decimal_size)),
        Some(Builtin::FLOAT4) => Type::F32,
        Some(Builtin::FLOAT8) => Type::F64,
        Some(Builtin::BPCHAR) => {
            limit.map_or_else(|| native(&Builtin::BPCHAR, modifier), |chars| Type::Char { chars })
        }
        Some(Builtin::VARCHAR) => Type::Text { chars: limit, bytes: None },
        Some(Builtin::TEXT) => Type::Text { chars: None, bytes: None },
        Some(Builtin::BYTEA) => Type::Bytes { bytes: None },
        Some(Builtin::DATE) => Type::Date,
        Some(Builtin::TIME) => Type::Time { digits },
        Some(Builtin::TIMESTAMP) => Type::Timestamp { digits },
        Some(Builtin::TIMESTAMPTZ) => Type::Instant { digits },
        Some(Builtin::UUID) => Type::Uuid,
        Some(Builtin::JSON) => Type::Json(JsonKind::Verbatim),
        Some(Builtin::JSONB) => Type::Json(JsonKind::Binary),
        Some(builtin) => native(&builtin, modifier),
        None => Type::Unsupported,
    }
}

fn native(builtin: &Builtin, modifier: i32) -> Type {
    let shape = shape(builtin, modifier);
    Type::Native { name: builtin.name().to_owned(), modifier, shape }
}

/// Precision in the upper half, scale in the lower 11 bits as a signed number.
fn decimal_size(packed: u32) -> DecimalSize {
    let precision = u16::try_from(packed >> 16 & 0xFFFF).unwrap_or(u16::MAX);
    let scale = i16::try_from(packed & 0x7FF).unwrap_or(0);
    DecimalSize { precision, scale: (scale ^ 1024) - 1024 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::shape::Shape;

    fn numeric(precision: u32, scale: i32) -> i32 {
        ((precision << 16 | (scale as u32 & 0x7FF)) + 4) as i32
    }

    /// Broken if a limit were read wrong, and values that do not fit were sent, or good ones refused.
    #[test]
    fn modifiers_become_limits() {
        let native =
            |name: &str, modifier, shape| Type::Native { name: name.to_owned(), modifier, shape };
        let ints = Box::new(Type::Int { bits: 32, unsigned: false });
        let days = Shape::Interval { digits: 2, whole: false };
        let decimal = |precision, scale| Type::Decimal(Some(DecimalSize { precision, scale }));
        for (ty, modifier, expected) in [
            (Builtin::NUMERIC, numeric(10, 2), decimal(10, 2)),
            (Builtin::NUMERIC, numeric(3, -2), decimal(3, -2)),
            (Builtin::NUMERIC, numeric(1000, 1000), decimal(1000, 1000)),
            (Builtin::NUMERIC, -1, Type::Decimal(None)),
            (Builtin::VARCHAR, 7, Type::Text { chars: Some(3), bytes: None }),
            (Builtin::VARCHAR, -1, Type::Text { chars: None, bytes: None }),
            (Builtin::BPCHAR, 5, Type::Char { chars: 1 }),
            (Builtin::BPCHAR, -1, native("bpchar", -1, Shape::Text { bytes: None })),
            (Builtin::TIMESTAMP, -1, Type::Timestamp { digits: 6 }),
            (Builtin::TIMESTAMPTZ, 0, Type::Instant { digits: 0 }),
            (Builtin::TIME, 3, Type::Time { digits: 3 }),
            (
                Builtin::INT4_ARRAY,
                -1,
                native("_int4", -1, Shape::Array { element: ints, delimiter: ',' }),
            ),
            (Builtin::VARBIT, 5, native("varbit", 5, Shape::VarBits { max: Some(5) })),
            (Builtin::REGCLASS, -1, native("regclass", -1, Shape::Printed)),
            (Builtin::MONEY, -1, native("money", -1, Shape::Money { digits: 2 })),
            (Builtin::INTERVAL, 0x0008_0002, native("interval", 0x0008_0002, days)),
        ] {
            assert_eq!(logical(ty.oid(), modifier), expected, "{ty} {modifier}");
        }
    }
}
