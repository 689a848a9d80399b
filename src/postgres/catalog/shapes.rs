//! What the types of people and extensions are made of, down to built-in types.
//!
//! Read are only the types that the selected columns reach, however they refer to each other. How deep and
//! how large a type may be is bounded: beyond that it is one that only PostgreSQL knows.
//! Source: PostgreSQL manual, "pg_type", "pg_range", "pg_attribute".

use std::collections::HashMap;

use tokio_postgres::types::{Kind, Type as Builtin};

use super::types::logical;
use crate::model::Type;
use crate::model::shape::{Figure, Shape};
use crate::postgres::session::Session;

/// Types in types in types.
const DEPTH_MAX: u8 = 12;
/// Types that one column's is made of.
const PARTS_MAX: usize = 500;

/// The types that columns of the tables `$1` reach.
const TYPES: &str = "
WITH RECURSIVE reached(oid) AS (
  SELECT DISTINCT a.atttypid FROM pg_attribute a
  WHERE a.attrelid = ANY($1) AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT next.oid FROM reached r JOIN pg_type t ON t.oid = r.oid CROSS JOIN LATERAL (
    SELECT t.typelem UNION ALL SELECT t.typbasetype
    UNION ALL SELECT a.atttypid FROM pg_attribute a
      WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT g.rngsubtype FROM pg_range g
      WHERE g.rngtypid = t.oid OR g.rngmultitypid = t.oid) AS next(oid)
  WHERE next.oid <> 0 AND t.oid >= 16384)
SELECT t.oid, n.nspname || '.' || t.typname AS name, t.typname::text AS own, t.typtype,
       CASE WHEN t.typlen = -1 AND t.typcategory = 'A' THEN t.typelem ELSE 0 END AS element,
       COALESCE(e.typdelim, ',') AS delimiter, t.typbasetype, t.typtypmod,
       (SELECT g.rngsubtype FROM pg_range g
        WHERE g.rngtypid = t.oid OR g.rngmultitypid = t.oid LIMIT 1) AS bounds,
       (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS fields,
       (SELECT array_agg(a.atttypid ORDER BY a.attnum) FROM pg_attribute a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS types,
       (SELECT array_agg(a.atttypmod ORDER BY a.attnum) FROM pg_attribute a
        WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS modifiers,
       (SELECT x.extname::text FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
        WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
          AND d.refclassid = 'pg_extension'::regclass LIMIT 1) AS extension
FROM reached r JOIN pg_type t ON t.oid = r.oid JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type e ON e.oid = t.typelem
WHERE t.oid >= 16384";

/// What a money of this database has after the point.
const MONEY: &str = "SELECT scale(0::money::numeric)::int4";

/// A type of people or of an extension.
struct Described {
    name: String,
    own: String,
    kind: u8,
    element: u32,
    delimiter: char,
    base: u32,
    base_modifier: i32,
    bounds: Option<u32>,
    fields: Vec<(String, u32, i32)>,
    extension: Option<String>,
}

/// The types that are known.
pub(super) struct Shapes {
    types: HashMap<u32, Described>,
    labels: HashMap<u32, Vec<String>>,
    money_digits: u8,
}

impl Shapes {
    /// Those that columns of these tables reach.
    pub(super) async fn read(
        session: &Session,
        tables: &[u32],
        labels: HashMap<u32, Vec<String>>,
    ) -> Result<Shapes, tokio_postgres::Error> {
        let mut types = HashMap::new();
        for row in session.query(TYPES, &[&tables]).await? {
            let names: Vec<String> = row.get::<_, Option<_>>("fields").unwrap_or_default();
            let oids: Vec<u32> = row.get::<_, Option<_>>("types").unwrap_or_default();
            let modifiers: Vec<i32> = row.get::<_, Option<_>>("modifiers").unwrap_or_default();
            let fields = names.into_iter().zip(oids).zip(modifiers);
            let described = Described {
                name: row.get("name"),
                own: row.get("own"),
                kind: row.get::<_, i8>("typtype") as u8,
                element: row.get("element"),
                delimiter: char::from(row.get::<_, i8>("delimiter") as u8),
                base: row.get("typbasetype"),
                base_modifier: row.get("typtypmod"),
                bounds: row.get("bounds"),
                fields: fields.map(|((name, oid), modifier)| (name, oid, modifier)).collect(),
                extension: row.get("extension"),
            };
            types.insert(row.get("oid"), described);
        }
        let digits: i32 = session.query_one(MONEY, &[]).await?.get(0);
        let money_digits = u8::try_from(digits).unwrap_or(2);
        Ok(Shapes { types, labels, money_digits })
    }

    /// The logical type of a type and its modifier.
    pub(super) fn of(&self, oid: u32, modifier: i32) -> Type {
        let mut parts = 0;
        match self.resolve(oid, modifier, DEPTH_MAX, &mut parts) {
            Some(ty) => ty,
            None => self.types.get(&oid).map_or(Type::Unsupported, |described| Type::Native {
                name: described.name.clone(),
                modifier,
                shape: Shape::Opaque,
            }),
        }
    }

    /// `None` where it is too deep or too large.
    fn resolve(&self, oid: u32, modifier: i32, depth: u8, parts: &mut usize) -> Option<Type> {
        let depth = depth.checked_sub(1)?;
        *parts += 1;
        if *parts > PARTS_MAX {
            return None;
        }
        let Some(described) = self.types.get(&oid) else {
            return Some(match logical(oid, modifier) {
                Type::Native { name, modifier, shape: Shape::Money { .. } } => Type::Native {
                    name,
                    modifier,
                    shape: Shape::Money { digits: self.money_digits },
                },
                other => other,
            });
        };
        let inner = |oid: u32, modifier: i32, parts: &mut usize| {
            self.resolve(oid, modifier, depth, parts).map(Box::new)
        };
        let shape = match described.kind {
            b'd' => {
                let own = described.base_modifier;
                let modifier = if own == -1 { modifier } else { own };
                return self.resolve(described.base, modifier, depth, parts);
            }
            b'e' => {
                return Some(Type::Enum {
                    labels: self.labels.get(&oid).cloned().unwrap_or_default(),
                });
            }
            b'c' => {
                let mut fields = Vec::with_capacity(described.fields.len());
                for (name, oid, modifier) in &described.fields {
                    fields.push((name.clone(), *inner(*oid, *modifier, parts)?));
                }
                Shape::Composite(fields)
            }
            b'r' => Shape::Range { element: inner(described.bounds?, -1, parts)?, discrete: false },
            b'm' => {
                Shape::Multirange { element: inner(described.bounds?, -1, parts)?, discrete: false }
            }
            _ if described.element != 0 => Shape::Array {
                element: inner(described.element, modifier, parts)?,
                delimiter: described.delimiter,
            },
            _ => described.of_extension(modifier),
        };
        Some(Type::Native { name: described.name.clone(), modifier, shape })
    }
}

impl Described {
    /// What is known of types of extensions.
    fn of_extension(&self, modifier: i32) -> Shape {
        match (self.extension.as_deref(), self.own.as_str()) {
            (Some("citext"), "citext") => Shape::Text { bytes: None },
            (Some("hstore"), "hstore") => Shape::Hstore,
            (Some("ltree"), "ltree") => Shape::Ltree,
            (Some("ltree"), _) => Shape::Printed,
            (Some("postgis"), "geometry" | "geography") => {
                Shape::Geometry { kind: None, srid: None }
            }
            (Some("vector"), "vector") => {
                Shape::Vector { count: u32::try_from(modifier).ok().filter(|count| *count > 0) }
            }
            _ => Shape::Opaque,
        }
    }
}

/// What a built-in type is made of.
pub(super) fn shape(builtin: &Builtin, modifier: i32) -> Shape {
    // Of intervals the upper half says which fields there are, all of them where nothing is said.
    let digits = u8::try_from(modifier & 0xFFFF).unwrap_or(6).min(6);
    let count = u32::try_from(modifier).ok().filter(|count| *count > 0);
    match *builtin {
        Builtin::OID | Builtin::XID | Builtin::CID => Shape::Unsigned { bits: 32 },
        Builtin::XID8 => Shape::Unsigned { bits: 64 },
        Builtin::MONEY => Shape::Money { digits: 2 },
        Builtin::NAME => Shape::Text { bytes: Some(63) },
        Builtin::BPCHAR => Shape::Text { bytes: None },
        Builtin::CHAR => Shape::Letter,
        Builtin::INTERVAL => {
            Shape::Interval { digits, whole: modifier == -1 || modifier >> 16 & 0x7FFF == 0x7FFF }
        }
        Builtin::TIMETZ => Shape::TimeTz { digits },
        Builtin::INET => Shape::Inet,
        Builtin::CIDR => Shape::Cidr,
        Builtin::MACADDR => Shape::Mac { bytes: 6 },
        Builtin::MACADDR8 => Shape::Mac { bytes: 8 },
        Builtin::PG_LSN => Shape::Lsn,
        Builtin::BIT => count.map_or(Shape::Opaque, |count| Shape::Bits { count }),
        Builtin::VARBIT => Shape::VarBits { max: count },
        Builtin::POINT => Shape::Figure(Figure::Point),
        Builtin::LINE => Shape::Figure(Figure::Line),
        Builtin::LSEG => Shape::Figure(Figure::Segment),
        Builtin::BOX => Shape::Figure(Figure::Box),
        Builtin::PATH => Shape::Figure(Figure::Path),
        Builtin::POLYGON => Shape::Figure(Figure::Polygon),
        Builtin::CIRCLE => Shape::Figure(Figure::Circle),
        Builtin::XML
        | Builtin::TS_VECTOR
        | Builtin::TSQUERY
        | Builtin::JSONPATH
        | Builtin::INT2_VECTOR
        | Builtin::OID_VECTOR
        | Builtin::REGPROC
        | Builtin::REGPROCEDURE
        | Builtin::REGOPER
        | Builtin::REGOPERATOR
        | Builtin::REGCLASS
        | Builtin::REGTYPE
        | Builtin::REGCONFIG
        | Builtin::REGDICTIONARY
        | Builtin::REGNAMESPACE
        | Builtin::REGROLE
        | Builtin::REGCOLLATION => Shape::Printed,
        _ => match builtin.kind() {
            Kind::Array(element) => Shape::Array {
                element: Box::new(logical(element.oid(), modifier)),
                delimiter: if *element == Builtin::BOX { ';' } else { ',' },
            },
            Kind::Range(element) => Shape::Range {
                element: Box::new(logical(element.oid(), -1)),
                discrete: is_discrete(element),
            },
            Kind::Multirange(element) => Shape::Multirange {
                element: Box::new(logical(element.oid(), -1)),
                discrete: is_discrete(element),
            },
            _ => Shape::Opaque,
        },
    }
}

fn is_discrete(element: &Builtin) -> bool {
    matches!(*element, Builtin::INT4 | Builtin::INT8 | Builtin::DATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(kind: u8, own: &str) -> Described {
        Described {
            name: format!("public.{own}"),
            own: own.to_owned(),
            kind,
            element: 0,
            delimiter: ',',
            base: 0,
            base_modifier: -1,
            bounds: None,
            fields: Vec::new(),
            extension: None,
        }
    }

    /// Broken if a type that refers to itself, or is made of very many, took all memory or the stack.
    #[test]
    fn types_are_bounded() {
        let mut types = HashMap::new();
        let own = || vec![("self".to_owned(), 20_000, -1)];
        types.insert(20_000, Described { fields: own(), ..described(b'c', "again") });
        for at in 1..12 {
            let fields = (0..9).map(|field| (format!("f{field}"), 20_000 + at - 1, -1)).collect();
            types.insert(20_000 + at, Described { fields, ..described(b'c', "wide") });
        }
        let int = vec![("a".to_owned(), Builtin::INT4.oid(), -1)];
        types.insert(30_000, Described { fields: int, ..described(b'c', "pair") });
        types.insert(30_001, Described { base: 30_000, ..described(b'd', "kept") });
        types.insert(30_002, Described { element: 30_001, ..described(b'b', "_kept") });
        let shapes = Shapes { types, labels: HashMap::new(), money_digits: 0 };
        for oid in [20_000, 20_011] {
            assert_eq!(shapes.of(oid, -1).shape(), Some(&Shape::Opaque));
        }
        let array = shapes.of(30_002, -1);
        let Some(Shape::Array { element, .. }) = array.shape() else { panic!("{array:?}") };
        assert!(matches!(element.shape(), Some(Shape::Composite(fields)) if fields.len() == 1));
        let money = shapes.of(Builtin::MONEY.oid(), -1);
        assert_eq!(money.shape(), Some(&Shape::Money { digits: 0 }));
        assert_eq!(shapes.of(40_000, -1), Type::Unsupported);
    }
}
