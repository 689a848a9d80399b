//! What people see of letters and do to them, and what a server says that has no table for them.

use weir::error::Kind;
use weir::link::letter::{Letter, LetterWork};
use weir::link::ports::Preflight;
use weir::model::Table;

use super::stage::{KID, Stage, behind, context, letter, name};

/// Broken if a person saw too few or too many letters, asked for or dropped those of another row, or the
/// running link did not notice.
pub(super) async fn letters_are_listed_asked_for_and_dropped(stage: &Stage) {
    let mut writer = stage.begin("src").await;
    let of_kid = Letter { table: KID, ..letter("a", 0) };
    writer.add(&[of_kid, letter("a", 1), behind("a", 2), letter("b", 3)]).await.expect("adds");
    let space = stage.space;
    stage
        .execute(&format!(
            "INSERT INTO weir.dead_letter (name, link, source_table, table_name, row_name, operation, \
             position, ordinal, kind, error, hint, change_values, attempts, made_at) SELECT name, link, \
             source_table, '{space}.gone', row_name, operation, position, ordinal, kind, error, hint, \
             change_values, attempts, made_at FROM weir.dead_letter WHERE row_name = 'b'"
        ))
        .await;
    let mut people =
        stage.room.open_letters(&context("src"), &stage.database).await.expect("opens");
    let all = people.list(0, 100).await.expect("lists");
    assert_eq!(all.len(), 5, "one is of a table that is not planned");
    assert_eq!(people.list(0, 2).await.expect("lists"), all[..2]);
    assert_eq!(people.list(all[1].id, 100).await.expect("lists"), all[2..]);
    assert_eq!(people.list(u64::MAX / 4, 100).await.expect("lists"), []);
    assert_eq!(writer.target.letters().await.expect("letters").len(), 4);
    let row = |table: &str, row: &str| (format!("{space}.{table}"), row.to_owned());
    let rows = [row("one", "a"), row("gone", "b"), row("one", "none")];
    assert_eq!(people.ask(&[]).await.expect("asks"), 0);
    assert_eq!(people.ask(&rows).await.expect("asks"), 3);
    let count = writer.target.count_letters().await.expect("counts");
    assert_eq!((count.letters, count.asked), (4, 2));
    let asked: Vec<bool> =
        people.list(0, 100).await.expect("lists").iter().map(|one| one.asked).collect();
    assert_eq!(asked, [false, true, true, false, true]);
    let heads = writer.target.letters().await.expect("letters");
    assert_eq!(heads.iter().filter(|one| one.asked).count(), 2);
    assert_eq!(people.discard(&rows).await.expect("drops"), 3);
    assert_eq!(people.discard(&rows).await.expect("drops"), 0);
    let left = people.list(0, 100).await.expect("lists");
    assert_eq!(left, [all[0].clone(), all[3].clone()]);
    let count = writer.target.count_letters().await.expect("counts");
    assert_eq!((count.letters, count.asked), (2, 0));
    let all: Vec<(String, String)> = (0..2500).map(|at| row("one", &at.to_string())).collect();
    let letters: Vec<Letter> = (0..2500).map(|at| letter(&at.to_string(), at)).collect();
    writer.add(&letters).await.expect("adds");
    assert_eq!(people.ask(&all).await.expect("asks"), 2500);
    assert_eq!(people.discard(&all).await.expect("drops"), 2500);
}

/// Broken if one link's work, or its end, touched the letters of another.
pub(super) async fn links_are_told_apart(stage: &Stage) {
    let mut other = stage.begin("other").await;
    let mut writer = stage.begin("src").await;
    other.add(&[letter("a", 0)]).await.expect("adds");
    let theirs = stage.letters("other").await;
    writer.add(&[letter("a", 1)]).await.expect("adds");
    let (emptied, closed) = ([KID, super::stage::ONE], [name(super::stage::ONE, "a")]);
    let work = LetterWork { emptied: &emptied, closed: &closed, ..LetterWork::default() };
    writer.write(work).await.expect("ends its own");
    assert_eq!(stage.letters("src").await, []);
    writer.add(&[letter("a", 1)]).await.expect("adds");
    let row = [(format!("{}.one", stage.space), "a".to_owned())];
    let mut people =
        stage.room.open_letters(&context("src"), &stage.database).await.expect("opens");
    assert_eq!(people.ask(&row).await.expect("asks"), 1);
    assert_eq!(people.discard(&row).await.expect("drops"), 1);
    assert_eq!(stage.letters("other").await, theirs);
    writer.add(&[letter("a", 2)]).await.expect("adds");
    let statements = stage.room.teardown_target(&context("src"), Some("another"));
    stage.room.execute(&stage.database, "teardown", &statements).await.expect("tears down");
    assert_eq!(stage.letters("src").await.len(), 1, "another installation's are left alone");
    let statements = stage.room.teardown_target(&context("src"), None);
    stage.room.execute(&stage.database, "teardown", &statements).await.expect("tears down");
    assert_eq!(stage.letters("src").await, []);
    assert_eq!(stage.letters("other").await, theirs);
}

/// Broken if an installation from before dead letters were not told of the way on by check, by the link
/// and by who asks for its letters, or the way on did not lead there.
pub(super) async fn a_missing_table_is_named(stage: &Stage) {
    let tables: Vec<&Table> = stage.plan.tables.iter().map(|table| &table.target).collect();
    let context = context("src");
    let look = Preflight {
        context: &context,
        database: &stage.database,
        tables: &tables,
        unfilled: &[],
        whole: None,
    };
    let fatal = async || {
        let found = stage.room.check_target(look).await.expect("looks");
        let fatal = found.iter().filter(|one| one.fatal);
        fatal.map(|one| format!("{} {} {}", one.subject, one.message, one.advice())).collect()
    };
    let none: Vec<String> = fatal().await;
    assert_eq!(none, [""; 0]);
    let mut writer = stage.begin("src").await;
    // The last is how an installation from before looks: MySQL and MariaDB keep rights on what is gone.
    let user = crate::rights::WRITER;
    let revoke = format!("REVOKE SELECT, INSERT, UPDATE, DELETE ON weir.dead_letter FROM {user}");
    for damage in [
        vec!["DROP TABLE weir.dead_letter"],
        vec!["ALTER TABLE weir.dead_letter DROP COLUMN hint"],
        vec!["DROP TABLE weir.dead_letter"],
        vec![&revoke, "DROP TABLE weir.dead_letter"],
    ] {
        stage.grant().await;
        for sql in damage {
            stage.execute(sql).await;
        }
        let [found]: [String; 1] = fatal().await.try_into().expect("one finding");
        assert!(found.contains("weir.dead_letter") && found.contains("`weir setup"), "{found}");
    }
    let mut people = stage.room.open_letters(&context, &stage.database).await.expect("opens");
    let row = [("t".to_owned(), "r".to_owned())];
    for error in [
        writer.target.letters().await.expect_err("no table"),
        writer.target.count_letters().await.expect_err("no table"),
        people.list(0, 1).await.expect_err("no table"),
        people.ask(&row).await.expect_err("no table"),
        people.discard(&row).await.expect_err("no table"),
        writer.add(&[letter("a", 0)]).await.expect_err("no table"),
    ] {
        assert_eq!(error.kind(), Kind::Mapping, "{error:?}");
        assert!(error.operator_hint().contains("`weir setup --apply`"), "{error:?}");
    }
    stage.grant().await;
    let mut writer = stage.begin("src").await;
    writer.add(&[letter("a", 0)]).await.expect("adds");
    assert_eq!(stage.letters("src").await.len(), 1);
    stage.execute(&format!("REVOKE DELETE ON weir.dead_letter FROM {user}")).await;
    let found: Vec<String> = fatal().await;
    let told = found.join("\n");
    assert!(found.len() == 1 && told.contains("GRANT") && told.contains("DELETE"), "{told}");
    stage.grant().await;
}
