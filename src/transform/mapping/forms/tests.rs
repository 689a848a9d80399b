//! Types that only one dialect has: which pairs cross, what they promise, and that what crossed comes
//! back as it was, once and again.

use proptest::prelude::*;

use crate::config::Dialect::{Mariadb, Mysql, Postgres};
use crate::model::schema::JsonKind;
use crate::model::shape::{Figure, Shape};
use crate::model::{Type, Value};
use crate::plan::fixtures::column;
use crate::transform::fixtures::*;
use crate::transform::forms::canonical;
use crate::transform::{LossClass, Reason, convert, pair};

fn native(shape: Shape) -> Type {
    Type::Native { name: "native".to_owned(), modifier: -1, shape }
}

fn postgres(shape: Shape) -> Side {
    (Postgres, native(shape), "a type of PostgreSQL")
}

fn mysql(shape: Shape) -> Side {
    (Mysql, native(shape), "a type of MySQL")
}

fn array(element: Type) -> Shape {
    Shape::Array { element: Box::new(element), delimiter: ',' }
}

fn range(element: Type, discrete: bool) -> Shape {
    Shape::Range { element: Box::new(element), discrete }
}

/// What becomes of a value, or why it does not fit.
fn attempted(source: &Side, target: &Side, value: &Value) -> Result<Value, Reason> {
    let (conversion, _) = pair(&col(source), source.0, &col(target), target.0)
        .unwrap_or_else(|why| panic!("{source:?} {target:?}: {why}"));
    convert(&conversion, value)
}

/// Why no value of one side crosses to the other.
fn refusal(source: &Side, target: &Side) -> String {
    pair(&col(source), source.0, &col(target), target.0).expect_err("refused")
}

/// From one side to the other.
fn crossed(source: &Side, target: &Side, value: &Value) -> Value {
    let (conversion, _) = pair(&col(source), source.0, &col(target), target.0)
        .unwrap_or_else(|why| panic!("{source:?} {target:?}: {why}"));
    convert(&conversion, value)
        .unwrap_or_else(|why| panic!("{source:?} {target:?} {value:?}: {why}"))
}

/// What counts of a value of PostgreSQL.
fn one(side: &Side, value: &Value) -> Value {
    match (side.1.shape(), value) {
        (Some(shape), Value::Text(text)) => Value::Text(canonical(shape, text).unwrap().into()),
        _ => value.clone(),
    }
}

/// Twice around: PostgreSQL's value stays what it is, and the second lap has nothing to write.
fn twice_around(here: &Side, there: &Side, value: &Value) {
    let away = crossed(here, there, value);
    let home = crossed(there, here, &away);
    assert_eq!(one(here, &home), one(here, value), "{here:?} {there:?}");
    let again = crossed(here, there, &home);
    let homecoming = crossed(there, here, &again);
    assert_eq!(one(here, &homecoming), one(here, &home), "{here:?} {there:?}");
}

fn texts(here: &Side, there: &Side, values: &[&str]) {
    for value in values {
        twice_around(here, there, &text(value));
    }
}

const LONG: Side = (Mysql, Type::Text { chars: None, bytes: Some(u32::MAX as u64) }, "longtext");

/// Broken if a text of PostgreSQL did not come back from a column of text.
#[test]
fn texts_come_back_from_text() {
    let interval = Shape::Interval { digits: 6, whole: true };
    let stamp = Type::Timestamp { digits: 6 };
    for (shape, values) in [
        (interval, &["P1Y2M3DT4H5M6.789S", "P-1DT2H3M", "PT0S", "P1M", "infinity"][..]),
        (Shape::TimeTz { digits: 6 }, &["13:45:30.5+02", "24:00:00+00", "00:00:00-15:59:59"]),
        (Shape::Inet, &["10.0.0.1", "192.168.1.5/24", "2001:db8::1", "::1.2.3.4", "::/0"]),
        (Shape::Cidr, &["10.0.0.0/8", "2001:db8::/32", "10.0.0.1/32"]),
        (Shape::Mac { bytes: 6 }, &["08:00:2b:01:02:03"]),
        (Shape::Mac { bytes: 8 }, &["08:00:2b:01:02:03:04:05"]),
        (Shape::Lsn, &["16/B374D848", "0/0"]),
        (Shape::Ltree, &["", "Top.Science.a_1"]),
        (Shape::Letter, &["", "x"]),
        (Shape::Text { bytes: Some(63) }, &["pg_class", ""]),
        (Shape::VarBits { max: None }, &["", "00101"]),
        (range(int(32, false), true), &["[1,11)", "empty", "(,)", "(,5)"]),
        (range(Type::Decimal(None), false), &["(1.50,)", "[-1,2.25]"]),
        (range(stamp, false), &["[\"2024-01-01 00:00:00\",\"2024-02-01 00:00:00\")"]),
        (
            Shape::Multirange { element: Box::new(int(32, false)), discrete: true },
            &["{}", "{[1,3),[5,8)}"],
        ),
        (Shape::Figure(Figure::Box), &["(3,4),(1,2)"]),
        (Shape::Figure(Figure::Path), &["[(0,0),(1,1e+20)]"]),
        (Shape::Figure(Figure::Polygon), &["((0,0),(1,1),(1,0))"]),
        (Shape::Figure(Figure::Circle), &["<(0,0),5>"]),
        (Shape::Figure(Figure::Line), &["{1,-1,0}"]),
        (Shape::Figure(Figure::Segment), &["[(0,0),(1,1)]"]),
    ] {
        texts(&postgres(shape), &LONG, values);
    }
}

/// Broken if a value did not come back from the type that is nearest.
#[test]
fn values_come_back_from_other_types() {
    let floats = postgres(array(Type::F32));
    for (here, there, values) in [
        (
            postgres(Shape::Unsigned { bits: 32 }),
            (Mysql, int(32, true), "int unsigned"),
            &["4294967295"][..],
        ),
        (
            postgres(Shape::Unsigned { bits: 64 }),
            (Mysql, int(64, true), "bigint unsigned"),
            &["18446744073709551615", "0"],
        ),
        (
            postgres(Shape::Money { digits: 2 }),
            (Mysql, dec(19, 2), "decimal(19,2)"),
            &["$1,234.56", "-$0.05"],
        ),
        (postgres(Shape::Bits { count: 8 }), mysql(Shape::Bits { count: 8 }), &["00000101"]),
        (postgres(Shape::Bits { count: 1 }), (Mysql, Type::Bool, "bit(1)"), &["0", "1"]),
        (
            postgres(Shape::Interval { digits: 6, whole: true }),
            time_of(Mysql, 6),
            &["PT-1H-30M", "PT838H59M59S", "PT0S"],
        ),
        (
            postgres(Shape::Inet),
            (Mariadb, native(Shape::Address { bytes: 16 }), "inet6"),
            &["2001:db8::1", "::ffff:1.2.3.4"],
        ),
        (
            postgres(Shape::Inet),
            (Mariadb, native(Shape::Address { bytes: 4 }), "inet4"),
            &["10.0.0.1"],
        ),
        (
            postgres(Shape::Figure(Figure::Point)),
            mysql(Shape::Geometry { kind: Some(1), srid: None }),
            &["(1.5,-2)", "(1e+300,0)"],
        ),
        (
            floats,
            mysql(Shape::Vector { count: Some(3) }),
            &["{1,2.5,-3}", "{3.4028235e+38,0.1,-0}"],
        ),
        (
            postgres(array(Type::Text { chars: None, bytes: None })),
            mysql(Shape::Set(vec!["a".into(), "b".into()])),
            &["{}", "{a,b}", "{b}"],
        ),
    ] {
        texts(&here, &there, values);
    }
    let line = "01020000000200000000000000000000000000000000000000000000000000f03f000000000000f03f";
    let geometry = mysql(Shape::Geometry { kind: None, srid: None });
    let bytea = (Postgres, Type::Bytes { bytes: None }, "bytea");
    let wkb = crate::transform::forms::wkb::unhex(line).unwrap();
    twice_around(&bytea, &geometry, &Value::Bytes(wkb.into()));
    texts(&PG_TEXT, &mysql(Shape::Set(vec!["a".into(), "b".into()])), &["", "a,b"]);
}

/// Broken if a value with values inside did not come back from JSON.
#[test]
fn structures_come_back_from_json() {
    let any = Type::Text { chars: None, bytes: None };
    let pair =
        native(Shape::Composite(vec![("b".into(), int(32, false)), ("a b".into(), any.clone())]));
    let Some(composite) = pair.shape().cloned() else { panic!("a composite") };
    for there in [MY_JSON, MA_JSON] {
        for (shape, values) in [
            (array(int(64, false)), &["{1,NULL,-9223372036854775808}", "{{1,2},{3,4}}", "{}"][..]),
            (array(Type::Decimal(None)), &["{1.10,NaN,-Infinity}"]),
            (array(any.clone()), &[r#"{a,NULL,"NULL","x,y","q\"\\",""}"#]),
            (array(Type::Bool), &["{t,f}"]),
            (array(Type::F64), &["{1e+300,0.1,-0}"]),
            (array(Type::Uuid), &["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"]),
            (array(Type::Instant { digits: 6 }), &[r#"{"2024-06-01 10:00:00+00",infinity}"#]),
            (array(Type::Bytes { bytes: None }), &[r#"{"\\x00ff"}"#]),
            (array(native(Shape::Inet)), &["{10.0.0.1,10.0.0.0/8}"]),
            (array(pair.clone()), &[r#"{"(1,\"x,y\")","(,)"}"#]),
            (array(Type::Json(JsonKind::Verbatim)), &[r#"{"{\"a\": [1]}"}"#]),
            (composite.clone(), &[r#"(1,"x ""y""")"#, "(,)", r#"(,"")"#]),
            (Shape::Hstore, &[r#""a"=>"1", "b"=>NULL"#, ""]),
        ] {
            texts(&postgres(shape), &there, values);
        }
    }
}

proptest! {
    /// Broken if some array did not come back, or the second lap had something to write.
    #[test]
    fn arrays_come_back(numbers in prop::collection::vec(prop::option::of(any::<i64>()), 0..6)) {
        let list: Vec<String> =
            numbers.iter().map(|n| n.map_or("NULL".to_owned(), |n| n.to_string())).collect();
        let here = postgres(array(int(64, false)));
        for there in [MY_JSON, MA_JSON] {
            twice_around(&here, &there, &text(&format!("{{{}}}", list.join(","))));
        }
    }
}

/// Broken if a pair without a conversion crossed, or was refused without its types.
#[test]
fn what_has_no_conversion_is_refused_in_words() {
    let odd = postgres(array(native(Shape::Opaque)));
    for (source, target) in [
        (postgres(Shape::Opaque), LONG),
        (odd, MY_JSON),
        (postgres(Shape::Bits { count: 8 }), mysql(Shape::Bits { count: 9 })),
        (postgres(Shape::Inet), MY_JSON),
        (LONG, postgres(Shape::Printed)),
        (MY_JSON, postgres(Shape::Inet)),
        (postgres(Shape::Inet), PG_TEXT),
        (mysql(Shape::Set(vec!["a".into()])), LONG),
        (postgres(array(int(32, false))), mysql(Shape::Vector { count: None })),
        (time_of(Mysql, 0), postgres(Shape::Interval { digits: 6, whole: false })),
    ] {
        let why = pair(&col(&source), source.0, &col(&target), target.0).unwrap_err();
        for part in [source.2, target.2, "pair_needs_rule"] {
            assert!(why.contains(part), "{part}: {why}");
        }
    }
}

/// Broken if `explain` promised that every value crosses where some are refused, or did not say which.
#[test]
fn losses_are_told() {
    use LossClass::{Exact, RangeChecked};
    let refused = |source: &Side, target: &Side| {
        let (conversion, class) =
            pair(&col(source), source.0, &col(target), target.0).expect("crosses");
        let source = column("c", source.1.clone(), source.2);
        (class, crate::transform::refused::refused(&source, Postgres, &conversion))
    };
    for (source, target, class, said) in [
        (postgres(Shape::Inet), varchar(Mysql, 43), Exact, &[][..]),
        (postgres(Shape::Inet), varchar(Mysql, 20), RangeChecked, &["more than 20 characters"]),
        (
            postgres(Shape::Unsigned { bits: 32 }),
            (Mysql, int(32, true), "int unsigned"),
            Exact,
            &[],
        ),
        (postgres(Shape::Bits { count: 9 }), mysql(Shape::Bits { count: 9 }), Exact, &[]),
        (
            postgres(Shape::Figure(Figure::Point)),
            mysql(Shape::Geometry { kind: None, srid: None }),
            RangeChecked,
            &["NaN and infinite coordinates"],
        ),
    ] {
        let expected: Vec<String> = said.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(refused(&source, &target), (class, expected), "{source:?} {target:?}");
    }
}

/// Broken if a geometry of another reference system were left to the server, which refuses it there and takes
/// it elsewhere, or a column that holds none that crosses were planned.
#[test]
fn reference_systems_are_held_to() {
    let held = |srid| mysql(Shape::Geometry { kind: None, srid });
    let point = |srid| mysql(Shape::Geometry { kind: Some(1), srid });
    let bytea = (Postgres, Type::Bytes { bytes: None }, "bytea");
    let maria = (Mariadb, native(Shape::Geometry { kind: None, srid: None }), "geometry");
    let ewkb = "0101000020e6100000000000000000f03f0000000000000040";
    let ewkb = crate::transform::forms::wkb::unhex(ewkb).unwrap();
    let stored = crate::transform::forms::wkb::Geometry::of_ewkb(&ewkb).unwrap().stored();
    for (source, value) in [(&bytea, ewkb), (&maria, stored)] {
        let into = |srid| attempted(source, &held(srid), &Value::Bytes(value.clone().into()));
        assert!(into(None).is_ok() && into(Some(4326)).is_ok());
        for other in [0, 3857] {
            assert_eq!(into(Some(other)), Err(Reason::GeometryUnsupported), "{other}");
        }
    }
    let figure = postgres(Shape::Figure(Figure::Point));
    for (source, target) in [(&figure, &point(Some(4326))), (&point(Some(4326)), &figure)] {
        let why = refusal(source, target);
        assert!(why.contains("`point` has no SRID, and 4326 is asked for"), "{why}");
    }
}

/// Broken if a vector that the target has no room for were left to the server, or refused without a reason.
#[test]
fn vectors_are_refused_by_their_reasons() {
    let floats = postgres(Shape::Array { element: Box::new(Type::F32), delimiter: ',' });
    let held = mysql(Shape::Vector { count: Some(3) });
    for (text, reason) in [
        ("{1,2}", Reason::LengthChange),
        ("{}", Reason::LengthChange),
        ("{1,2,NaN}", Reason::NonFinite),
        ("{1,2,NULL}", Reason::NullNotAllowed),
        ("{{1,2,3}}", Reason::ArrayBounds),
        ("[2:4]={1,2,3}", Reason::ArrayBounds),
        ("{1,2,1e39}", Reason::OutOfRange),
    ] {
        let found = attempted(&floats, &held, &Value::Text(text.into()));
        assert_eq!(found, Err(reason), "{text}");
    }
    let vector = |count| Type::Native {
        name: "vector".to_owned(),
        modifier: 0,
        shape: Shape::Vector { count: Some(count) },
    };
    let held = (Mysql, vector(3), "vector(3)");
    for other in [(Mariadb, vector(3), "vector(3)"), (Mysql, vector(2), "vector(2)")] {
        assert!(refusal(&held, &other).contains("pair_needs_rule"), "{other:?}");
    }
}
