//! Plans from small catalogs: what is accepted, what is refused, and in which words.

use std::collections::BTreeMap;

use super::*;
use crate::config::{ApplyOptions, Deletes, OnPoison, Truncates};
use crate::model::schema::{Partition, Rule};
use crate::model::{Column, ForeignKey, Identity, Type, Unique};
use crate::plan::fixtures::{
    BIGINT, TEXT, column, config, foreign_key, link, mapping, replicate, table,
};
use crate::plan::{UpsertStrategy, explain, links, selection};
use crate::transform::Fit;

fn columns() -> Vec<Column> {
    vec![column("id", BIGINT, "bigint"), column("name", TEXT, "text")]
}

fn pair_of_tables() -> ([Table; 1], [Table; 1]) {
    ([table("public", "orders", columns())], [table("my_db", "orders", columns())])
}

fn planned(source: &[Table], target: &[Table]) -> Result<LinkPlan, Vec<Finding>> {
    let config = config(vec![replicate("pg", "my", &["public.*"])], Vec::new());
    plan(&config, &link("pg", "my"), source, target)
}

/// The messages of a refused plan, joined.
fn refusal(result: Result<LinkPlan, Vec<Finding>>) -> String {
    let findings = result.expect_err("the plan must be refused");
    assert!(findings.iter().all(|finding| !finding.advice().is_empty() && finding.fatal));
    let lines = findings.iter().map(|finding| format!("{}: {}", finding.subject, finding.message));
    lines.collect::<Vec<_>>().join("\n")
}

/// Broken if tables of the default places did not meet, or `into` and `rename` were not followed.
#[test]
fn tables_meet_by_name() {
    let (source, target) = pair_of_tables();
    let plan_of = planned(&source, &target).unwrap();
    let first = &plan_of.tables[0];
    assert_eq!(first.target.name.to_string(), "my_db.orders");
    assert_eq!((first.key.as_slice(), first.columns.len()), ([0].as_slice(), 2));
    assert!(first.columns[0].reverse.is_some() && first.columns[1].reverse.is_none());
    assert!(!first.columns[0].conversion.nullable, "a NULL key matches nothing");

    let mut rule = replicate("my", "pg", &["my_db.*", "crm.c*"]);
    rule.rename = BTreeMap::from([(TableName::new("my_db", "usr"), "users".to_owned())]);
    let names = [("my_db", "usr"), ("crm", "customer"), ("crm", "other")];
    let source = names.map(|(schema, name)| table(schema, name, columns()));
    let target = [table("public", "users", columns()), table("crm", "customer", columns())];
    let both = plan(&config(vec![rule.clone()], Vec::new()), &link("my", "pg"), &source, &target);
    let names: Vec<_> =
        both.unwrap().tables.iter().map(|table| table.target.name.to_string()).collect();
    assert_eq!(names, ["crm.customer", "public.users"]);

    rule.into = Some("dwh".to_owned());
    let (_, wanted) = selection(&config(vec![rule], Vec::new()), &link("my", "pg"));
    assert_eq!(wanted.include, ["dwh.*", "dwh.c*", "dwh.users"]);
}

/// Broken if a link were forgotten or invented.
#[test]
fn links_follow_from_the_rules() {
    let tables = vec![
        mapping("a", Some("my"), &[("my", "my_db.a"), ("pg", "public.a"), ("ma", "ma_db.a")]),
        mapping("b", None, &[("pg", "public.b")]),
    ];
    let config = config(vec![replicate("pg", "my", &["public.*"])], tables);
    let names: Vec<String> = links(&config).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["pg:my", "my:ma", "my:pg"]);
    let (source, target) = selection(&config, &link("my", "pg"));
    assert_eq!((source.include, target.include), (vec!["my_db.a".into()], vec!["public.a".into()]));
}

/// Broken if a row that moves to another partition stayed on the target twice.
#[test]
fn deletes_of_a_partitioned_table_are_not_ignored() {
    let ([mut source], target) = pair_of_tables();
    let mut rule = replicate("pg", "my", &["public.*"]);
    rule.deletes = Deletes::Ignore;
    let config = config(vec![rule], Vec::new());
    let plan_of = |source: Table| plan(&config, &link("pg", "my"), &[source], &target);
    assert!(plan_of(source.clone()).is_ok());
    let name = TableName::new("public", "orders_1");
    source.partitions = vec![Partition { name, identity: Identity::Full }];
    assert!(refusal(plan_of(source)).contains("moves a row to another partition"));
}

/// Broken if a named table did not win over the pattern that matches it too.
#[test]
fn a_named_table_comes_before_a_pattern() {
    let mut named = mapping("order", None, &[("pg", "public.orders")]);
    named.deletes = Some(Deletes::Ignore);
    named.columns = BTreeMap::from([(
        "name".to_owned(),
        BTreeMap::from([("my".to_owned(), "title".to_owned())]),
    )]);
    named.local = vec!["note".to_owned()];
    let mut rule = replicate("pg", "my", &["public.*"]);
    rule.truncate = Truncates::Apply;
    let config = config(vec![rule], vec![named]);
    let mut columns = columns();
    columns.push(column("note", TEXT, "text"));
    let source = [table("public", "orders", columns.clone())];
    columns[1].name = "title".to_owned();
    let target = [table("my_db", "orders", columns)];
    let plan = plan(&config, &link("pg", "my"), &source, &target).unwrap();
    let [only] = plan.tables.as_slice() else { panic!("one table") };
    assert_eq!((only.deletes, only.truncate), (Deletes::Ignore, Truncates::Apply));
    assert_eq!(only.columns.len(), 2);
    let text = explain(&plan).to_string();
    assert!(text.contains("name text  -> title text") && text.contains("note"), "{text}");
}

/// Broken if a change were set aside where the configuration wants the link to halt, or the other way
/// round.
#[test]
fn the_nearest_word_decides_about_poison() {
    use OnPoison::{Halt, Park};
    let (source, target) = pair_of_tables();
    for (link_s, rule_s, table_s, expected) in [
        (Park, None, None, Park),
        (Halt, None, None, Halt),
        (Halt, Some(Park), None, Park),
        (Park, Some(Halt), None, Halt),
        (Park, Some(Halt), Some(Park), Park),
        (Halt, Some(Park), Some(Halt), Halt),
    ] {
        let mut rule = replicate("pg", "my", &["public.*"]);
        rule.on_poison = rule_s;
        let mut named = mapping("order", None, &[("pg", "public.orders")]);
        named.on_poison = table_s;
        let mut config = config(vec![rule], vec![named]);
        let link = link("pg", "my");
        let options = ApplyOptions { on_poison: link_s, ..config.apply.clone() };
        config.links.insert(link.clone(), options);
        let plan = plan(&config, &link, &source, &target).unwrap();
        assert_eq!(plan.tables[0].on_poison, expected, "{link_s:?} {rule_s:?} {table_s:?}");
        let text = explain(&plan).to_string();
        assert_eq!(text.contains("  on_poison  halt\n"), expected == Halt, "{text}");
        assert!(!text.contains("park"), "{text}");
    }
}

/// Broken if a secret were recorded because it has another name on the other side, or because another
/// rule names it; or if a key that cannot be hidden were said to be.
#[test]
fn sensitive_columns_are_known_by_each_name() {
    let (source, mut target) = pair_of_tables();
    target[0].columns[1].name = "title".to_owned();
    let planned = |patterns: [&[&str]; 2], own: Option<bool>| {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut rule = replicate("pg", "my", &["public.*"]);
        rule.sensitive = list(patterns[0]);
        let mut named = mapping("order", None, &[("pg", "public.orders")]);
        named.sensitive = list(patterns[1]);
        named.sensitive_columns.extend(own.map(|own| ("label".to_owned(), own)));
        let names =
            [("pg", "name"), ("my", "title")].map(|(at, name)| (at.to_owned(), name.to_owned()));
        named.columns = BTreeMap::from([("label".to_owned(), BTreeMap::from(names))]);
        plan(&config(vec![rule], vec![named]), &link("pg", "my"), &source, &target)
    };
    for (patterns, own, expected) in [
        ([&[][..], &[][..]], None, false),
        ([&["name"], &[]], None, true),
        ([&["t*"], &[]], None, true),
        ([&[], &["label"]], None, true),
        ([&["other"], &["x*"]], None, false),
        ([&[], &[]], Some(true), true),
        ([&["name"], &["label"]], Some(false), false),
    ] {
        let plan = planned(patterns, own).unwrap();
        let sensitive: Vec<_> =
            plan.tables[0].columns.iter().map(|column| column.sensitive).collect();
        assert_eq!(sensitive, [false, expected], "{patterns:?} {own:?}");
        assert_eq!(explain(&plan).to_string().contains("exact, sensitive"), expected);
    }
    let refused = refusal(planned([&["i*"], &["lable"]], None));
    assert!(refused.contains("match key column id is sensitive"), "{refused}");
    assert!(refused.contains("names column lable, which neither table has"), "{refused}");
}

/// Broken if a column that is to stay where it is were copied because of a typo.
#[test]
fn names_that_are_no_columns_are_refused() {
    let (source, target) = pair_of_tables();
    let mut named = mapping("order", None, &[("pg", "public.orders")]);
    named.local = vec!["Name".to_owned()];
    named.columns.insert("nope".to_owned(), BTreeMap::new());
    let config = config(vec![replicate("pg", "my", &["public.*"])], vec![named]);
    let refused = refusal(plan(&config, &link("pg", "my"), &source, &target));
    assert!(
        refused.contains("names column Name, which neither table has (there is name"),
        "{refused}"
    );
    assert!(refused.contains("names column nope, which neither table has"), "{refused}");
}

/// Broken if one of these reached a running link.
#[test]
fn tables_that_cannot_be_replicated_are_refused_by_name() {
    type Change = fn(&mut Table, &mut Table);
    let cases: [(&str, Change); 16] = [
        ("orders is missing at the target", |source, _| {
            source.columns.push(column("orders", TEXT, "text"));
        }),
        ("column ID is missing at the source (there is id, which differs by case)", |_, target| {
            target.columns.push(column("ID", BIGINT, "bigint"));
        }),
        ("has no primary key", |source, _| source.uniques.clear()),
        ("not in the before image", |source, _| source.identity = Identity::Columns(vec![1])),
        ("not in the before image", |source, _| source.identity = Identity::Nothing),
        ("refuse every UPDATE and DELETE", |source, _| source.identity = Identity::Unsendable),
        ("no unique index of the target table is over the match key (id)", |_, target| {
            target.uniques.clear();
        }),
        ("no unique index of the target table", |_, target| {
            target.uniques[0].columns = vec![0, 1];
        }),
        ("may be NULL at the source", |source, _| source.columns[0].nullable = true),
        ("cannot be compared exactly", |source, target| {
            source.columns[0].ty = Type::F64;
            target.columns[0].ty = Type::F64;
        }),
        ("PostgreSQL type tsvector is not supported yet", |source, target| {
            source.columns.push(column("words", Type::Unsupported, "tsvector"));
            target.columns.push(column("words", TEXT, "longtext"));
        }),
        ("needs a rule (`pair_needs_rule`)", |_, target| {
            target.columns[1].ty = Type::Date;
            target.columns[1].native = "date".to_owned();
        }),
        ("is not transactional", |_, target| target.transactional = false),
        ("cannot be replicated: it is a view", |source, _| {
            source.unsupported = Some("it is a view".to_owned());
        }),
        ("column name is computed at the source, but takes no NULL", |source, target| {
            source.columns[1].generated = true;
            target.columns[1].nullable = false;
        }),
        ("match key column id is not among the columns", |source, target| {
            source.columns[0].generated = true;
            target.columns[0].has_default = true;
        }),
    ];
    for (expected, change) in cases {
        let ([mut source], [mut target]) = pair_of_tables();
        change(&mut source, &mut target);
        let found = refusal(planned(&[source], &[target]));
        assert!(found.contains(expected), "{expected}\n{found}");
        assert!(found.contains("public.orders"), "{found}");
    }
}

/// Broken if an operator had to run `check` once per problem.
#[test]
fn all_problems_are_found_at_once() {
    let rules = vec![replicate("pg", "my", &["public.*", "nothing.*"])];
    let tables = vec![
        mapping("gone", Some("pg"), &[("pg", "public.gone"), ("my", "my_db.gone")]),
        mapping("twice", Some("pg"), &[("pg", "public.other"), ("my", "my_db.orders")]),
    ];
    let (mut source, target) = (pair_of_tables().0.to_vec(), pair_of_tables().1);
    source.push(table("public", "other", columns()));
    source.push(table("public", "lonely", columns()));
    let found = refusal(plan(&config(rules, tables), &link("pg", "my"), &source, &target));
    for expected in [
        "matches the pattern `nothing.*`",
        "public.gone does not exist at the source pg",
        "my_db.gone does not exist at the target my",
        "my_db.lonely does not exist at the target my",
        "tables public.other and public.orders both map to my_db.orders",
    ] {
        assert!(found.contains(expected), "{expected}\n{found}");
    }
    let none = plan(&config(Vec::new(), Vec::new()), &link("pg", "my"), &[], &[]);
    assert!(refusal(none).contains("no table crosses"));
}

/// Broken if a table could have two owners: two-way changes would chase each other.
#[test]
fn both_directions_of_one_table_are_refused() {
    let (source, target) = pair_of_tables();
    let rules =
        vec![replicate("pg", "my", &["public.*"]), replicate("my", "pg", &["my_db.orders"])];
    let config = config(rules, Vec::new());
    let found = refusal(plan(&config, &link("pg", "my"), &source, &target));
    assert!(found.contains("replicated in both directions"), "{found}");
}

/// Broken if `ON DUPLICATE KEY` could hit another row than the one meant.
#[test]
fn native_upserts_need_the_match_key_alone() {
    let strategy = |change: fn(&mut Table)| {
        let (source, [mut target]) = pair_of_tables();
        change(&mut target);
        planned(&source, &[target]).unwrap().tables[0].upsert
    };
    assert_eq!(strategy(|_| {}), UpsertStrategy::Native);
    assert_eq!(
        strategy(|target| target.columns[0].exact_collation = false),
        UpsertStrategy::UpdateThenInsert
    );
    assert_eq!(
        strategy(|target| target.odd_unique_indexes.push("prefix".to_owned())),
        UpsertStrategy::UpdateThenInsert
    );
    assert_eq!(
        strategy(|target| {
            let unique = Unique { name: "u".into(), columns: vec![1], primary: false };
            target.uniques.push(unique);
        }),
        UpsertStrategy::UpdateThenInsert
    );
}

/// Broken if children came before their parents, or a cycle kept weir from planning.
#[test]
fn ranks_follow_foreign_keys() {
    let names = ["leaf", "middle", "root", "x", "y"];
    let parents =
        [("leaf", "middle"), ("middle", "root"), ("x", "y"), ("y", "x"), ("root", "root")];
    let source = names.map(|name| table("public", name, columns()));
    let target = names.map(|name| {
        let mut table = table("my_db", name, columns());
        for (_, parent) in parents.iter().filter(|(child, _)| *child == name) {
            let parent = TableName::new("my_db", *parent);
            table.foreign_keys.push(foreign_key("fk", parent));
        }
        table
    });
    let plan = planned(&source, &target).unwrap();
    let ranks: Vec<u32> = plan.tables.iter().map(|table| table.rank).collect();
    assert_eq!(ranks, [2, 1, 0, 0, 0]);
    assert!(explain(&plan).tables[3].notes.iter().any(|note| note.contains("cycle with my_db.y")));
}

/// Broken if two spellings of one uuid at the source could meet in one target row.
#[test]
fn uuid_keys_from_text_take_one_spelling() {
    let mut source = table("my_db", "t", columns());
    source.columns[0].ty = Type::Char { chars: 36 };
    let mut target = table("public", "t", columns());
    target.columns[0].ty = Type::Uuid;
    let config = config(vec![replicate("my", "pg", &["my_db.t"])], Vec::new());
    let plan = plan(&config, &link("my", "pg"), &[source], &[target]).unwrap();
    let key = &plan.tables[0].columns[0];
    assert_eq!(key.conversion.fit, Fit::UuidFromText { lower_only: true });
    assert_eq!(key.reverse.as_ref().unwrap().fit, Fit::UuidText);
}

/// Broken if a review record matched a table that has changed since.
#[test]
fn digests_change_with_names_and_types() {
    use crate::plan::digest;
    let original = table("public", "t", columns());
    let mut renamed = original.clone();
    renamed.columns[1].name = "title".to_owned();
    let mut retyped = original.clone();
    retyped.columns[1].native = "varchar(3)".to_owned();
    let mut merely_nullable = original.clone();
    merely_nullable.columns[1].nullable = false;
    assert_ne!(digest(&original), digest(&renamed));
    assert_ne!(digest(&original), digest(&retyped));
    assert_eq!(digest(&original), digest(&merely_nullable));
    assert_eq!(digest(&original).len(), 32);
}

/// Broken if a renamed column's old name were taken for another column, or a table were relayed.
#[test]
fn renamed_columns_and_owned_tables_are_taken_as_written() {
    let mut named = mapping("t", Some("pg"), &[("pg", "public.t"), ("my", "my_db.t")]);
    let names = |title: &str| BTreeMap::from([("my".to_owned(), title.to_owned())]);
    named.columns = BTreeMap::from([("name".to_owned(), names("title"))]);
    let mut target = columns();
    target.push(column("title", TEXT, "text"));
    let tables = ([table("public", "t", columns())], [table("my_db", "t", target)]);
    let rules = config(vec![replicate("my", "ma", &["my_db.*"])], vec![named]);
    let found = refusal(plan(&rules, &link("pg", "my"), &tables.0, &tables.1));
    assert!(found.contains("column name is missing at the source"), "{found}");
    let found = refusal(plan(&rules, &link("my", "ma"), &tables.1, &[]));
    assert!(found.contains("belongs to pg"), "{found}");
}

/// Broken if nobody were told that columns of the target are lost with each row that moves to another
/// partition, or of keys of the target that do what the source does not.
#[test]
fn what_is_carried_otherwise_is_remarked() {
    let remarks = |source: &[Table], target: &[Table]| {
        let mut rule = replicate("pg", "my", &["public.*"]);
        rule.ignore = vec!["note".to_owned()];
        let config = config(vec![rule], Vec::new());
        let plan = plan(&config, &link("pg", "my"), source, target).expect("a plan");
        assert!(plan.remarks.iter().all(|one| !one.fatal && !one.hint.is_empty()));
        plan.remarks.into_iter().map(|one| one.message).collect::<Vec<_>>()
    };
    let ([mut source], [mut target]) = pair_of_tables();
    let whole = [source.clone()];
    target.columns.push(column("note", TEXT, "text"));
    assert!(remarks(&whole, &[target.clone()]).is_empty());
    let name = TableName::new("public", "orders_1");
    source.partitions = vec![Partition { name, identity: Identity::Full }];
    let found = remarks(&[source.clone()], &[target]);
    assert!(found[0].ends_with("is lost then (note)"), "{found:?}");
    assert!(remarks(&[source], &pair_of_tables().1).is_empty());

    let tables = |schema: &str, rules: Option<[Rule; 2]>| {
        let mut child = table(schema, "child", columns());
        child.foreign_keys.extend(rules.map(|[on_delete, on_update]| ForeignKey {
            columns: vec!["id".into()],
            parent_columns: vec!["id".into()],
            on_delete,
            on_update,
            ..foreign_key("fk", TableName::new(schema, "orders"))
        }));
        [table(schema, "orders", columns()), child]
    };
    use Rule::{Cascade, Refuse, SetNull};
    for (source, target, told) in [
        (None, Some([Cascade, Refuse]), true),
        (None, Some([Refuse, Refuse]), false),
        (Some([Refuse, Refuse]), Some([Refuse, Cascade]), true),
        (Some([SetNull, Refuse]), Some([Cascade, Refuse]), true),
        (Some([Cascade, Cascade]), Some([Cascade, Refuse]), false),
        (Some([Cascade, Cascade]), None, false),
    ] {
        let found = remarks(&tables("public", source), &tables("my_db", target));
        assert_eq!(!found.is_empty(), told, "{source:?} {target:?}: {found:?}");
    }
}
