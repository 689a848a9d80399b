//! What each step makes of a value, by the contract.

use super::*;

/// Sides of a pair, the rules, a value and what becomes of it.
type Case<'a> = (&'a Side, &'a Side, &'a str, Value, Value);

fn made(cases: &[Case<'_>]) {
    for (from, to, rules, value, expected) in cases {
        assert_eq!(turned((from, to), rules, value).as_ref(), Ok(expected), "{rules}");
    }
}

/// Broken if a change got another time than that of its commit, or a row that was read by itself got one.
#[test]
fn expressions_know_the_time_of_the_commit() {
    let stamp = (Mysql, Type::Timestamp { digits: 6 }, "datetime(6)");
    let at = |to: &Side, rules: &str, committed_us| {
        let compiled = compiled_as((&PG_TEXT, to), rules, false, &[]).unwrap();
        let rules = compiled.rules.as_ref().unwrap();
        assert!(rules.is_of_commit());
        let row = Row::from(vec![text("x"), text("Jane"), Value::Null]);
        let beside = Beside { committed_us, outcomes: None };
        let scope = Scope { beside, ..Scope::of(&row) };
        rules.apply(&compiled.conversion, &text("x"), &scope)
    };
    let plain = r#"[{"expr":"now_at_commit()"}]"#;
    let commit = Some(946_684_800_000_000 + 1_500_000);
    assert_eq!(at(&stamp, plain, commit), Ok(Value::Timestamp(1_500_000)));
    assert_eq!(at(&moment(Postgres, 6), plain, commit), Ok(Value::Instant(1_500_000)));
    assert_eq!(at(&stamp, plain, None), Ok(Value::Null));
    let day = r#"[{"expr":"row.first + ' ' + substr(now_at_commit(), 0, 10)"}]"#;
    assert_eq!(at(&varchar(Mysql, 40), day, commit), Ok(text("Jane 2000-01-01")));
    let instead = r#"[{"expr":"now_at_commit() == null ? '2000-01-02' : now_at_commit()"}]"#;
    assert_eq!(at(&stamp, instead, None), Ok(Value::Timestamp(86_400_000_000)));
    assert_eq!(at(&stamp, instead, commit), Ok(Value::Timestamp(1_500_000)));
    let check = r#"[{"validate":{"check":"now_at_commit() == null || now_at_commit() < '2001'"}}]"#;
    assert_eq!(at(&varchar(Mysql, 40), check, commit), Ok(text("x")));
    let why = steps(r#"[{"expr":"now_at_commit(1)"}]"#).unwrap_err();
    assert!(why.contains("now_at_commit() takes nothing"), "{why}");
    assert!(
        !compiled_as((&PG_TEXT, &stamp), r#"[{"expr":"'2000-01-01'"}]"#, false, &[])
            .is_ok_and(|compiled| compiled.rules.unwrap().is_of_commit())
    );
}

/// Broken if a text were turned into another one than the contract says.
#[test]
fn texts_are_turned() {
    let my = varchar(Mysql, 40);
    let pg = varchar(Postgres, 64);
    made(&[
        (
            &my,
            &pg,
            r#"[{"mask":{"keep_last":4,"char":"*"}}]"#,
            text("4111111111111111"),
            text("************1111"),
        ),
        (&my, &pg, r#"[{"mask":{"keep_last":4}}]"#, text("411"), text("***")),
        (
            &my,
            &pg,
            r#"[{"split":{"separator":",","index":1}},{"trim":"both"}]"#,
            text("Doe, Jane"),
            text("Jane"),
        ),
        (&my, &pg, r#"[{"substring":{"start":1,"length":3}}]"#, text("äbcdef"), text("bcd")),
        (
            &my,
            &pg,
            r#"[{"concat":{"columns":["first","last"],"separator":" ","skip_null":true}}]"#,
            text("x"),
            text("Jane"),
        ),
        (
            &my,
            &pg,
            r#"[{"concat":{"columns":["first","last"],"separator":" "}}]"#,
            text("x"),
            Value::Null,
        ),
        (
            &my,
            &pg,
            r#"[{"regex_extract":{"pattern":"([0-9]+)-([0-9]+)","group":2}}]"#,
            text("a 12-34"),
            text("34"),
        ),
        (&my, &pg, r#"[{"pad_left":{"width":5,"char":"0"}}]"#, text("42"), text("00042")),
    ]);
}

/// Broken if a text were turned into another one than the contract says.
#[test]
fn texts_in_lists_are_turned() {
    let my = varchar(Mysql, 40);
    let pg = varchar(Postgres, 64);
    made(&[
        (&my, &pg, r#"[{"case":"title"}]"#, text("o'neil ÉMILE-zola"), text("O'neil Émile-Zola")),
        (
            &my,
            &pg,
            r#"[{"phone":"keep_leading_zeros"}]"#,
            text("+49 (0)30/123-4.5"),
            text("+4903012345"),
        ),
        (&my, &pg, r#"[{"phone":{"e164":"DE"}}]"#, text("(030) 123 456"), text("+4930123456")),
        (
            &my,
            &pg,
            r#"[{"expr":"decimal(value) > decimal('1.05') ? 'more' : 'less'"}]"#,
            text("1.10"),
            text("more"),
        ),
        (
            &my,
            &pg,
            r#"[{"expr":"decimal(value) > decimal('1.05') ? 'more' : 'less'"}]"#,
            text("2"),
            text("more"),
        ),
        (&my, &pg, r#"[{"charset":{"fix_mojibake":"cp1252"}}]"#, text("MÃ¼ller"), text("Müller")),
    ]);
}

/// Broken if a number or amount became another one.
#[test]
fn numbers_are_turned() {
    let my = varchar(Mysql, 40);
    made(&[
        (
            &MY_INT,
            &INT,
            r#"[{"validate":{"range":[0,100],"else":"clamp"}}]"#,
            Value::Int(150),
            Value::Int(100),
        ),
        (
            &MY_INT,
            &INT,
            r#"[{"validate":{"range":[0,100],"else":{"default":-1}}}]"#,
            Value::Int(150),
            Value::Int(-1),
        ),
        (
            &MY_INT,
            &INT,
            r#"[{"validate":{"range":[0,100],"else":"warn"}}]"#,
            Value::Int(150),
            Value::Int(150),
        ),
        (
            &my,
            &NUMERIC,
            r#"[{"parse_number":{"thousands":".","decimal":","}},{"scale_by_power_of_ten":2}]"#,
            text("1.234,56"),
            decimal("123456"),
        ),
        (&my, &DOUBLE, r#"[{"parse_number":{}}]"#, text("0.5"), Value::F64(0.5)),
    ]);
}

/// Broken if a date, time or moment became another one.
#[test]
fn times_are_turned() {
    let my = varchar(Mysql, 40);
    let ts = moment(Postgres, 0);
    made(&[
        (&my, &DATE, r#"[{"parse_date":"%d/%m/%Y"}]"#, text("31/12/2024"), Value::Date(9131)),
        (&DATE, &my, r#"[{"format_date":"%d/%m/%Y"}]"#, Value::Date(9131), text("31/12/2024")),
        (
            &BIGINT,
            &ts,
            r#"[{"epoch":{"unit":"s"}}]"#,
            Value::Int(1_717_236_000),
            Value::Instant(unix(1_717_236_000)),
        ),
        (&ts, &BIGINT, r#"[{"epoch":{"unit":"ms"}}]"#, Value::Instant(unix(1)), Value::Int(1000)),
        (
            &clock(Mysql, 0),
            &ts,
            r#"[{"timezone":{"from":"Europe/Berlin"}}]"#,
            Value::Timestamp(unix(1_717_243_200)),
            Value::Instant(unix(1_717_236_000)),
        ),
    ]);
}

/// Broken if a value were put for another one than the list says.
#[test]
fn words_are_put_for_each_other() {
    let my = varchar(Mysql, 40);
    let pg = varchar(Postgres, 64);
    made(&[
        (
            &my,
            &BOOL,
            r#"[{"bool_words":{"true":["Y","yes"],"false":["N"]}}]"#,
            text("Y"),
            Value::Bool(true),
        ),
        (
            &(Mysql, Type::Bool, "tinyint(1)"),
            &BOOL,
            r#"[{"bool_words":{"false":["0"],"else":true}}]"#,
            Value::Int(2),
            Value::Bool(true),
        ),
        (&my, &INT, r#"[{"null_if":["n/a","-",""]}]"#, text("n/a"), Value::Null),
        (&my, &INT, r#"[{"null_if":["n/a","-",""]}]"#, text("12"), Value::Int(12)),
        (&MY_INT, &INT, r#"[{"if_null":0}]"#, Value::Null, Value::Int(0)),
        (
            &PG_TEXT,
            &(Mysql, int(8, false), "tinyint"),
            r#"[{"map":{"values":{"US":1,"EU":3}}}]"#,
            text("EU"),
            Value::Int(3),
        ),
        (&my, &labels(Postgres, &["a", "b"]), r#"[{"case":"lower"}]"#, text("A"), label("a")),
        (&my, &pg, r#"[{"constant":"x"}]"#, Value::Null, text("x")),
    ]);
}

/// Broken if a scalar or a uuid were taken from the wrong place.
#[test]
fn documents_and_uuids_are_looked_into() {
    made(&[
        (
            &MY_JSON,
            &INT,
            r#"[{"json_path":"$.user.id"}]"#,
            Value::Json("{\"user\":{\"id\":7}}".into()),
            Value::Int(7),
        ),
        (
            &BYTES16,
            &UUID,
            r#"[{"uuid":{"layout":"plain"}}]"#,
            bytes(&[1; 16]),
            Value::Uuid([1; 16]),
        ),
        (
            &UUID,
            &BYTES16,
            r#"[{"uuid":{"layout":"time_swapped"}}]"#,
            Value::Uuid([7; 16]),
            bytes(&[7; 16]),
        ),
    ]);
}

/// Broken if an expression saw another row, or a number of it were bent.
#[test]
fn expressions_see_the_row() {
    let my = varchar(Mysql, 40);
    let pg = varchar(Postgres, 64);
    made(&[
        (&my, &pg, r#"[{"expr":"upper(row.first) + '-' + value"}]"#, text("x"), text("JANE-x")),
        (
            &my,
            &pg,
            r#"[{"expr":"row[\"last\"] == null ? 'none' : 'some'"}]"#,
            text("x"),
            text("none"),
        ),
        (
            &my,
            &BOOL,
            r#"[{"expr":"regex(value, '^[a-z]+$') && size(value) < 3"}]"#,
            text("ab"),
            Value::Bool(true),
        ),
        (
            &my,
            &DATE,
            r#"[{"expr":"parse_date(value, '%d/%m/%Y')"}]"#,
            text("31/12/2024"),
            Value::Date(9131),
        ),
        (
            &MY_INT,
            &pg,
            r#"[{"expr":"value > 1000 ? 'gold' : 'basic'"}]"#,
            Value::Int(5),
            text("basic"),
        ),
        (&NUMERIC, &dec(10, 2), r#"[{"expr":"value * 2.0"}]"#, decimal("0.25"), decimal("0.50")),
        (
            &MY_INT,
            &INT,
            r#"[{"validate":{"check":"row.first == 'Jane' && value < 9","else":"null"}}]"#,
            Value::Int(9),
            Value::Null,
        ),
        (
            &MY_INT,
            &INT,
            r#"[{"validate":{"check":"row.first == 'Jane' && value < 9"}}]"#,
            Value::Int(8),
            Value::Int(8),
        ),
    ]);
    for (rules, value, expected) in [
        (r#"[{"expr":"value / 0"}]"#, Value::Int(1), "step 1 (expr): validation "),
        (r#"[{"expr":"'text'"}]"#, Value::Int(1), "step 1 (expr): pair_needs_rule "),
        (
            r#"[{"expr":"9223372036854775807 + value"}]"#,
            Value::Int(1),
            "step 1 (expr): validation ",
        ),
    ] {
        let found = turned((&MY_INT, &INT), rules, &value).unwrap_err();
        assert!(found.starts_with(expected), "{rules}: {found}");
    }
}

/// Broken if a hash were of something else than the text's bytes in UTF-8.
#[test]
fn hashes_are_of_the_texts_bytes() {
    let my = varchar(Mysql, 40);
    let pg = varchar(Postgres, 64);
    let hash = turned((&my, &pg), r#"[{"hash":{"algo":"sha256"}}]"#, &text("abc"));
    let sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(hash, Ok(text(sha)));
}

/// A setting for types, the sides that it lets cross, a value and what becomes of it.
type Stood<'a> = (&'a str, &'a Side, &'a Side, Value, Value);

/// Broken if a setting let a pair cross that the contract does not give it, if a digit or zero were lost on
/// the way, or the pair crossed without the setting.
#[test]
fn types_stand_for_others_where_settings_say_so() {
    let zeros: Side = (Mysql, int(32, true), "int(8) unsigned zerofill");
    let pg = varchar(Postgres, 10);
    let long = decimal("0.10000000000000000000000000000000000000001000");
    let spelled = text("0.10000000000000000000000000000000000000001000");
    let document = r#"{"a": 1.10, "n": 12345678901234567890123}"#;
    let cases: &[Stood<'_>] = &[
        ("numeric_unconstrained", &NUMERIC, &LONGTEXT, long, spelled),
        (
            "numeric_unconstrained",
            &NUMERIC,
            &LONGTEXT,
            Value::DecimalSpecial(Special::NaN),
            text("NaN"),
        ),
        ("json_as", &JSONB, &LONGTEXT, Value::Json(document.into()), text(document)),
        ("zerofill", &zeros, &pg, Value::Int(42), text("00000042")),
        ("zerofill", &zeros, &pg, Value::Int(123_456_789), text("123456789")),
        ("zerofill", &zeros, &pg, Value::Null, Value::Null),
    ];
    for (name, from, to, value, expected) in cases {
        let compiled = compiled_as((from, to), "[]", false, &[(name, "text")]).unwrap();
        assert_eq!(run(&compiled, value).as_ref(), Ok(expected), "{name}");
        assert!(format!("{:?}", compiled.rules).contains(name), "the rules say so");
        assert!(compiled_as((from, to), "[]", false, &[]).is_err(), "{name} is not set");
        assert!(compiled_as((to, from), "[]", false, &[(name, "text")]).is_err(), "{name} back");
    }
    // Rows are matched by what has one text only.
    assert!(
        compiled_as((&NUMERIC, &LONGTEXT), "[]", true, &[("numeric_unconstrained", "text")])
            .is_err()
    );
    let key = compiled_as((&zeros, &pg), "[]", true, &[("zerofill", "text")]).unwrap();
    let rules = key.rules.as_ref().unwrap();
    assert_eq!(rules.back(text("00000042")), Ok(Value::Int(42)));
    assert_eq!(rules.back(text("42")), Err(Reason::Parse));
    // A column's own steps decide alone.
    let own = r#"[{"map":{"values":{"42":"x"},"else":"reject"}}]"#;
    let stepped = compiled_as((&zeros, &pg), own, false, &[("zerofill", "text")]).unwrap();
    assert_eq!(run(&stepped, &Value::Int(42)), Ok(text("x")));
}

/// Broken if an array lost its elements with its bounds, or lost the bounds unasked.
#[test]
fn bounds_of_arrays_are_dropped_on_demand() {
    let shape = Shape::Array { element: Box::new(int(32, false)), delimiter: ',' };
    let ty = Type::Native { name: "_int4".into(), modifier: -1, shape };
    let array: Side = (Postgres, ty, "integer[]");
    let odd = text("[0:1]={7,8}");
    let plain = compiled_as((&array, &MY_JSON), "[]", false, &[]).unwrap();
    assert!(run(&plain, &odd).is_err());
    let drop = compiled_as((&array, &MY_JSON), "[]", false, &[("array_bounds", "drop")]).unwrap();
    assert_eq!(run(&drop, &odd), Ok(Value::Json("[7, 8]".into())));
    let step = compiled_as((&array, &MY_JSON), r#"[{"array_bounds":"drop"}]"#, false, &[]).unwrap();
    assert_eq!(run(&step, &odd), Ok(Value::Json("[7, 8]".into())));
}
