//! Arrays, composites and hstore there and back.

use proptest::prelude::*;

use super::*;
use crate::model::schema::JsonKind;

fn native(shape: Shape) -> Type {
    Type::Native { name: String::new(), modifier: -1, shape }
}

fn array(element: Type) -> Type {
    native(Shape::Array { element: Box::new(element), delimiter: ',' })
}

const INT: Type = Type::Int { bits: 32, unsigned: false };
const TEXT: Type = Type::Text { chars: None, bytes: None };

fn pair() -> Type {
    native(Shape::Composite(vec![("a".into(), INT), ("b".into(), TEXT)]))
}

/// Broken if a value inside another came out as something else, on either way.
#[test]
fn values_inside_values_cross_both_ways() {
    for (ty, text, json) in [
        (array(INT), "{1,2,NULL}", "[1, 2, null]"),
        (array(INT), "{{1,2},{3,4}}", "[[1, 2], [3, 4]]"),
        (array(INT), "{}", "[]"),
        (array(TEXT), r#"{a,NULL,"NULL","x,y","q\"\\"}"#, r#"["a", null, "NULL", "x,y", "q\"\\"]"#),
        (array(Type::Decimal(None)), "{1.10,2,NaN}", r#"["1.10", "2", "NaN"]"#),
        (array(Type::Bool), "{t,f,NULL}", "[true, false, null]"),
        (array(Type::F32), "{1,2.5,-3e+10}", "[1, 2.5, -3e+10]"),
        (array(Type::Json(JsonKind::Binary)), r#"{"{\"a\": [1]}","[2]"}"#, r#"[{"a": [1]}, [2]]"#),
        (pair(), "(1,x)", r#"{"a": 1, "b": "x"}"#),
        (pair(), r#"(,"")"#, r#"{"a": null, "b": ""}"#),
        (
            array(pair()),
            r#"{"(1,\"a,b\")","(,\"x\\\"y\")"}"#,
            r#"[{"a": 1, "b": "a,b"}, {"a": null, "b": "x\"y"}]"#,
        ),
        (native(Shape::Hstore), r#""a"=>"1", "b"=>NULL"#, r#"{"a": "1", "b": null}"#),
        (native(Shape::Hstore), "", "{}"),
        (
            array(native(Shape::Unsigned { bits: 64 })),
            "{18446744073709551615}",
            "[18446744073709551615]",
        ),
        (array(native(Shape::Interval { digits: 6, whole: true })), "{P1M}", r#"["P1M"]"#),
        (array(Type::Bytes { bytes: None }), r#"{"\\x00ff"}"#, r#"["\\x00ff"]"#),
        (
            array(Type::Instant { digits: 6 }),
            r#"{"2024-06-01 10:00:00+00"}"#,
            r#"["2024-06-01 10:00:00+00"]"#,
        ),
    ] {
        assert_eq!(to_json(&ty, text, Spelling::Given).as_deref(), Ok(json), "{text}");
        let back = from_json(&ty, json).unwrap();
        let again = to_json(&ty, &back, Spelling::Canonical);
        assert_eq!(again, to_json(&ty, text, Spelling::Canonical), "{text}: {back}");
    }
}

/// Broken if a text or document that is none of the type were sent.
#[test]
fn what_is_none_of_the_type_is_refused() {
    for (ty, text, reason) in [
        (array(INT), "[0:1]={7,8}", Reason::ArrayBounds),
        (array(INT), "{1", Reason::Parse),
        (array(INT), "{1}x", Reason::Parse),
        (array(INT), "{,}", Reason::Parse),
        (array(Type::F64), "{NaN}", Reason::NonFinite),
        (array(Type::Json(JsonKind::Binary)), "{{1},{2}}", Reason::ArrayBounds),
        (pair(), "(1)", Reason::Parse),
        (pair(), "(1,x,y)", Reason::Parse),
        (native(Shape::Hstore), r#"a=>"1""#, Reason::Parse),
    ] {
        assert_eq!(to_json(&ty, text, Spelling::Given), Err(reason), "{text}");
    }
    for (ty, json, reason) in [
        (array(INT), "[1.5]", Reason::Parse),
        (array(INT), "[2147483648]", Reason::OutOfRange),
        (array(INT), "[[1], [2, 3]]", Reason::Parse),
        (array(INT), "[[1], 2]", Reason::Parse),
        (array(INT), "[1, [2]]", Reason::Parse),
        (array(INT), "[[1], [[2]]]", Reason::Parse),
        (array(INT), "[[[1]], [2]]", Reason::Parse),
        (array(INT), "[[]]", Reason::Parse),
        (array(INT), "{}", Reason::Parse),
        (array(INT), "null", Reason::Parse),
        (array(INT), "[1] 2", Reason::Parse),
        (array(INT), "[[[[[[[1]]]]]]]", Reason::Parse),
        (array(TEXT), r#"["\u0000"]"#, Reason::NulChar),
        (array(Type::Date), r#"["31/12/2024"]"#, Reason::Parse),
        (array(Type::Instant { digits: 6 }), r#"["2024-06-01 10:00:00"]"#, Reason::Parse),
        (pair(), r#"{"a": 1}"#, Reason::Parse),
        (pair(), r#"{"a": 1, "b": "x", "c": 1}"#, Reason::Parse),
        (pair(), r#"{"a": 1, "a": 2, "b": "x"}"#, Reason::JsonDuplicateKey),
        (native(Shape::Hstore), r#"{"a": 1}"#, Reason::Parse),
        (native(Shape::Hstore), r#"{"a": "1", "a": "1"}"#, Reason::JsonDuplicateKey),
    ] {
        assert_eq!(from_json(&ty, json), Err(reason), "{json}");
    }
}

proptest! {
    /// Broken if some text inside an array or composite did not come back.
    #[test]
    fn texts_come_back(texts in prop::collection::vec(prop::option::of("[^\0]*"), 0..5)) {
        let items: Vec<String> = texts
            .iter()
            .map(|text| serde_json::to_string(text).unwrap())
            .collect();
        let json = format!("[{}]", items.join(", "));
        let text = from_json(&array(TEXT), &json).unwrap();
        let back = to_json(&array(TEXT), &text, Spelling::Given).unwrap();
        let parsed: Vec<Option<String>> = serde_json::from_str(&back).unwrap();
        prop_assert_eq!(parsed, texts);
    }

    /// Broken if some text made the readers panic or run away.
    #[test]
    fn no_text_breaks_the_readers(text in "\\PC*") {
        for ty in [array(INT), array(pair()), pair(), native(Shape::Hstore)] {
            let _ = to_json(&ty, &text, Spelling::Given);
            let _ = from_json(&ty, &text);
        }
    }
}
