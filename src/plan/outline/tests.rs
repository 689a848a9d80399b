//! What differences between two outlines cause.

use super::*;

fn table(target: &str, key: &str, columns: &[&str]) -> TableOutline {
    TableOutline {
        target: target.to_owned(),
        key: vec![key.to_owned()],
        deletes: "apply".to_owned(),
        truncate: "halt".to_owned(),
        on_poison: "park".to_owned(),
        columns: columns.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect(),
        sensitive: BTreeSet::new(),
        rules: BTreeMap::new(),
        lists: BTreeMap::new(),
        owners: BTreeMap::new(),
    }
}

fn outline(tables: &[(&str, TableOutline)]) -> Outline {
    let tables = tables.iter().map(|(name, table)| ((*name).to_owned(), table.clone()));
    Outline { tables: tables.collect(), settings: BTreeMap::new() }
}

fn verdicts(before: &Outline, after: &Outline, filled: &[&str]) -> Vec<(String, Verdict)> {
    let filled = filled.iter().map(|name| (*name).to_owned()).collect();
    let found = after.differences(before, &filled).into_iter();
    found.map(|one| (one.table.unwrap_or_default(), one.verdict)).collect()
}

/// Broken if a table or column that holds rows joined, or was led elsewhere, without anybody's
/// decision; if another match key passed, by its name on either side; or if a rule that harms
/// nobody asked for one.
#[test]
fn what_a_change_causes() {
    use Verdict::{Decision, FromNow, Refused};
    let of = |name: &str, table| outline(&[(name, table)]);
    let led = |column: &str| {
        let mut led = table("t.a", "id", &["id", "n"]);
        led.columns.insert(column.to_owned(), "elsewhere".to_owned());
        led
    };
    let ruled = |column: &str| TableOutline {
        rules: BTreeMap::from([(column.to_owned(), "[]".to_owned())]),
        ..table("t.a", "id", &["id", "n"])
    };
    let before = of("s.a", table("t.a", "id", &["id", "n"]));
    assert!(verdicts(&before, &before, &["s.a"]).is_empty());
    let both =
        outline(&[("s.a", table("t.a", "id", &["id", "n"])), ("s.b", table("t.b", "id", &["id"]))]);
    assert_eq!(both.in_question(&before), BTreeSet::from(["s.b".to_owned()]));
    assert_eq!(verdicts(&before, &both, &["s.b"]), [("s.b".to_owned(), Decision)]);
    assert_eq!(verdicts(&before, &both, &[]), [("s.b".to_owned(), FromNow)]);
    assert_eq!(verdicts(&both, &before, &[]), [("s.b".to_owned(), FromNow)]);
    for (after, filled, expected) in [
        (table("t.z", "id", &["id", "n"]), true, vec![Decision]),
        (table("t.z", "id", &["id", "n"]), false, vec![FromNow]),
        (table("t.a", "n", &["id", "n"]), true, vec![Refused]),
        (table("t.a", "id", &["id"]), true, vec![FromNow]),
        (table("t.a", "id", &["id", "n", "more"]), true, vec![Decision]),
        (table("t.a", "id", &["id", "n", "more"]), false, vec![FromNow]),
        (led("n"), true, vec![Decision]),
        (led("n"), false, vec![FromNow]),
        (led("id"), false, vec![Refused]),
        (
            TableOutline { deletes: "ignore".to_owned(), ..table("t.a", "id", &["id", "n"]) },
            true,
            vec![FromNow],
        ),
        (ruled("n"), true, vec![Decision]),
        (ruled("n"), false, vec![FromNow]),
        (ruled("id"), false, vec![Refused]),
    ] {
        let after = of("s.a", after);
        let asked = !after.in_question(&before).is_empty();
        let filled: &[&str] = if filled && asked { &["s.a"] } else { &[] };
        let found = verdicts(&before, &after, filled);
        assert_eq!(found.into_iter().map(|(_, verdict)| verdict).collect::<Vec<_>>(), expected);
    }
    for otherwise in [
        TableOutline { on_poison: "halt".to_owned(), ..table("t.a", "id", &["id", "n"]) },
        TableOutline {
            sensitive: BTreeSet::from(["n".to_owned()]),
            ..table("t.a", "id", &["id", "n"])
        },
    ] {
        let after = of("s.a", otherwise);
        assert_eq!(verdicts(&before, &after, &[]), [("s.a".to_owned(), FromNow)]);
        assert_eq!(verdicts(&after, &before, &[]), [("s.a".to_owned(), FromNow)]);
    }
    let mut optioned = before.clone();
    optioned.settings.insert("batch_rows_max".to_owned(), "7".to_owned());
    assert_eq!(verdicts(&before, &optioned, &[]), [(String::new(), FromNow)]);
    assert_ne!(optioned.digest(), before.digest());
    assert!(!optioned.is_written_as(&before.settings));
    optioned.settings.insert(TABLES.to_owned(), "s.*".to_owned());
    let written = BTreeMap::from([("batch_rows_max".to_owned(), "7".to_owned())]);
    assert!(optioned.is_written_as(&written));
}
