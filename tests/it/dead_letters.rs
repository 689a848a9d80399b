//! `weir dead-letters` on real servers: letters that are there by SQL, for people to list, show, ask for,
//! drop and export, with weir stopped, running, paused, and with a target that is down.
//!
//! What a link itself makes of letters is tested elsewhere. Here a test plays the link, on a table that
//! no plan has: a link that runs leaves such letters alone.

use std::time::Duration;

use weir::sandbox::{Running, Server};

use crate::harness::{Outcome, Pair, Weir, execute_in, query_in, until};

const SPACE: &str = "dead";
/// Over a table whose rows are set aside, and one back.
const TABLES: &str = "[[replicate]]\nfrom = \"left\"\nto = \"right\"\ntables = [\"dead.t\"]\n\
                      [[replicate]]\nfrom = \"right\"\nto = \"left\"\ntables = [\"dead.back\"]\n\
                      [apply]\nstart = \"now\"\n";
const SOON: Duration = Duration::from_secs(30);

/// A letter as it is written by SQL.
struct Written<'a> {
    link: &'a str,
    table: &'a str,
    row: &'a str,
    old: Option<&'a str>,
    operation: &'a str,
    kind: &'a str,
    changes: u32,
}

/// Of a row of `dead.t` of `left:right`.
fn of(row: &'static str, kind: &'static str) -> Written<'static> {
    let operation = "update";
    Written { link: "left:right", table: "dead.t", row, old: None, operation, kind, changes: 1 }
}

impl Written<'_> {
    async fn write(&self, server: &Running) {
        let old = self.old.map_or("NULL".to_owned(), |old| format!("'{old}'"));
        let (hint, change) =
            ("run `weir explain LINK`", r#"{"of":"source","after":{"z":1.10,"a":"x"}}"#);
        let sql = format!(
            "INSERT INTO weir.dead_letter (name, link, source_table, table_name, row_name, \
             old_row_name, operation, position, ordinal, kind, error, hint, change_values, changes, \
             attempts, made_at) VALUES ('dead', '{}', '{}', '{}', '{}', {old}, '{}', 'here', 3, '{}', \
             'it does not fit', '{hint}', '{change}', {}, 1, '2026-01-02 03:04:05')",
            self.link, self.table, self.table, self.row, self.operation, self.kind, self.changes
        );
        server.execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}\n{sql}"));
    }
}

/// Letters 1 to 5 of `left:right`, and 1 of `right:left`.
async fn letters(pair: &Pair) {
    let (six, seven) = (r#"[["int","6"]]"#, r#"[["int","7"]]"#);
    let five = |kind| of(r#"[["int","5"]]"#, kind);
    five("value").write(&pair.target).await;
    Written { changes: 12, ..five("behind") }.write(&pair.target).await;
    of(six, "constraint").write(&pair.target).await;
    Written { old: Some(six), operation: "rekey", ..of(seven, "behind") }.write(&pair.target).await;
    let other = Written { table: "dead.other", ..of(r#"[["text","ä"]]"#, "foreign_key") };
    other.write(&pair.target).await;
    let back =
        Written { link: "right:left", table: "dead.back", ..of(r#"[["int","1"]]"#, "value") };
    back.write(&pair.source).await;
}

async fn ready(source: Server, target: Server) -> Option<(Pair, Weir)> {
    let pair = Pair::start(source, target).await?;
    pair.create_space(SPACE).await;
    for server in [&pair.source, &pair.target] {
        for table in ["t", "back"] {
            let sql = format!("CREATE TABLE {table} (id INT PRIMARY KEY, a VARCHAR(10))");
            execute_in(server, SPACE, &sql).await;
        }
    }
    let weir = Weir::with_tables(&pair, "dead", TABLES);
    weir.grant().await;
    Some((pair, weir))
}

fn json(outcome: &Outcome) -> serde_json::Value {
    serde_json::from_str(&outcome.stdout)
        .unwrap_or_else(|error| panic!("{error}\n{}", outcome.stdout))
}

/// The letters that somebody has asked for, in a target.
async fn asked(server: &Running) -> Vec<String> {
    let sql =
        "SELECT CAST(id AS CHAR(9)) FROM weir.dead_letter WHERE asked_at IS NOT NULL ORDER BY id";
    query_in(server, SPACE, sql).await.iter().map(|id| id.trim().to_owned()).collect()
}

/// Broken if nobody could see what is set aside and why, or another letter was asked for or dropped than
/// the one that was named, on one dialect or the other.
#[tokio::test]
async fn letters_are_seen_and_chosen() {
    let Some((mut pair, weir)) = ready(Server::Postgres18, Server::MySql97).await else { return };
    let none = weir.run(&["dead-letters", "list"]).await.expect_code(0);
    assert_eq!(none.stdout, "left:right: none\nright:left: none\n");
    letters(&pair).await;
    listed(&weir).await;
    shown(&weir).await;
    exported(&weir).await;
    asked_while_stopped(&pair, &weir).await;
    dropped(&pair, &weir).await;
    pair.target.kill().await.expect("target dies");
    let half = weir.run(&["dead-letters", "list"]).await.expect_code(1);
    assert!(half.stdout.contains("right:left: none") && half.stderr.contains("weir: left:right: "));
    let named = weir.run(&["dead-letters", "show", "1"]).await.expect_code(1);
    named.expect_phrase("whether left:right has a letter 1 cannot be told");
    let all = weir.run(&["dead-letters", "retry", "--all"]).await.expect_code(1);
    all.expect_phrase("make sure that the server is up").expect_phrase("right:left: none");
}

async fn listed(weir: &Weir) {
    let all = weir.run(&["dead-letter", "list"]).await.expect_code(0);
    for phrase in [
        "1   left:right  dead.t      5",
        "1 + 12 behind",
        "waits for 1",
        "rekey",
        "\"ä\"",
        "left:right: 4 rows set aside: 5 letters of 16 changes",
        "right:left: 1 row set aside: 1 letter of 1 change",
        "`weir dead-letters retry left:right`",
    ] {
        assert!(all.stdout.contains(phrase), "no {phrase:?} in\n{}", all.stdout);
    }
    let few =
        weir.run(&["dead-letters", "list", "left:right", "--limit", "2"]).await.expect_code(0);
    assert!(few.stdout.contains("and 3 more: --limit") && !few.stdout.contains("right:left"));
    let kind = ["dead-letters", "list", "--json", "--kind", "foreign_key", "--table", "*.other"];
    let one = json(&weir.run(&kind).await.expect_code(0));
    assert_eq!(one["links"][0]["listed"].as_array().map(Vec::len), Some(1));
    assert_eq!(one["links"][0]["listed"][0]["key"][0], "ä");
    assert_eq!(one["links"][0]["letters"], 5);
    assert_eq!(one["links"][1]["listed"].as_array().map(Vec::len), Some(0));
    weir.run(&["dead-letters", "list", "--kind", "valu"]).await.expect_code(2);
    weir.run(&["dead-letters", "list", "left:lost"]).await.expect_code(2);
}

async fn shown(weir: &Weir) {
    let twice = weir.run(&["dead-letters", "show", "1"]).await.expect_code(2);
    twice.expect_phrase("more than one letter 1").expect_phrase("left:right/1, right:left/1");
    let none = weir.run(&["dead-letters", "show", "99"]).await.expect_code(2);
    none.expect_phrase("there is no letter 99 of left:right, right:left");
    let first = weir.run(&["dead-letters", "show", "1", "left:right"]).await.expect_code(0);
    for phrase in [
        "dead.t -> dead.t",
        "here, change 3 of its transaction",
        "2026-01-02T03:04:05Z",
        "value: it does not fit",
        "hint: run `weir explain left:right`",
        "\"z\": 1.10,",
        "2  update 5",
        "all 2 letters count as done",
    ] {
        assert!(first.stdout.contains(phrase), "no {phrase:?} in\n{}", first.stdout);
    }
    let moved = weir.run(&["dead-letters", "show", "left:right/3", "--json"]).await;
    let moved = json(&moved.expect_code(0));
    assert_eq!((&moved["others"][0]["id"], &moved["others_count"]), (&4.into(), &1.into()));
    assert_eq!(moved["change"]["after"]["a"], "x");
}

async fn exported(weir: &Weir) {
    let file = weir.dir.path().join("letters.jsonl").display().to_string();
    let export = ["dead-letters", "export", "-o", &file];
    weir.run(&export).await.expect_code(0).expect_phrase("6 letters in");
    weir.run(&export).await.expect_code(1).expect_phrase("cannot write");
    let text = std::fs::read_to_string(&file).expect("export");
    let ids: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["id"].clone())
        .collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 1]);
    assert_eq!(weir.run(&["dead-letters", "export"]).await.expect_code(0).stdout, text);
    let one = weir.run(&["dead-letters", "export", "right:left"]).await.expect_code(0);
    assert_eq!(one.stdout.lines().count(), 1);
}

async fn asked_while_stopped(pair: &Pair, weir: &Weir) {
    let unsaid = weir.run(&["dead-letters", "retry"]).await.expect_code(2);
    unsaid.expect_phrase("no letter is chosen");
    weir.run(&["dead-letters", "retry", "5", "--all"]).await.expect_code(2);
    assert!(asked(&pair.target).await.is_empty());
    let stopped = weir.run(&["dead-letters", "retry", "5"]).await.expect_code(1);
    stopped
        .expect_phrase("the next `weir run` tries them")
        .expect_phrase("dead.other \"ä\": not tried");
    assert_eq!(asked(&pair.target).await, ["5"]);
    let row = ["dead-letters", "retry", "--no-wait", "left:right/2"];
    weir.run(&row).await.expect_code(0).expect_phrase("left:right: asked for 1 row");
    assert_eq!(asked(&pair.target).await, ["1", "2", "5"]);
    let family = ["dead-letters", "retry", "--no-wait", "--kind", "constraint", "--json"];
    let told = json(&weir.run(&family).await.expect_code(0));
    assert_eq!(told["rows"].as_array().map(Vec::len), Some(2), "{told}");
    assert_eq!(asked(&pair.target).await, ["1", "2", "3", "4", "5"]);
    assert!(asked(&pair.source).await.is_empty());
    weir.run(&["dead-letters", "retry", "right:left", "--no-wait"]).await.expect_code(0);
    assert_eq!(asked(&pair.source).await, ["1"]);
}

async fn dropped(pair: &Pair, weir: &Weir) {
    let count = async |server: &Running| {
        let sql = "SELECT CAST(count(*) AS CHAR(9)) FROM weir.dead_letter";
        query_in(server, SPACE, sql).await[0].trim().to_owned()
    };
    let unasked = weir.run(&["dead-letters", "discard", "3"]).await.expect_code(2);
    unasked.expect_phrase("nobody can be asked").expect_phrase("--yes");
    let whole = weir.run(&["dead-letters", "discard", "--yes", "right:left"]).await.expect_code(2);
    whole.expect_phrase("no letter is chosen");
    assert_eq!((count(&pair.target).await, count(&pair.source).await), ("5".into(), "1".into()));
    for (answer, code, left) in [("n", 1, "5"), ("", 1, "5"), ("y", 0, "4")] {
        let typed = format!("echo {answer} | script -qec \"$0 $*\" /dev/null");
        let mut asked = weir.spawn_by(&["sh", "-c", &typed], &["dead-letters", "discard", "5"]);
        let ended = tokio::time::timeout(SOON, asked.wait()).await.expect("waits for ever");
        assert_eq!(ended.expect("ends").code(), Some(code), "{answer:?}: {}", weir.log());
        assert_eq!(count(&pair.target).await, left, "{answer:?}: {}", weir.log());
    }
    assert!(weir.log().contains("drop 1 letter of 1 row of left:right?"), "{}", weir.log());
    let family = weir.run(&["dead-letters", "discard", "--yes", "4"]).await.expect_code(0);
    family.expect_phrase("left:right: 2 letters of 2 rows are dropped; what the target holds");
    let all = ["dead-letters", "discard", "--all", "-y", "right:left", "--json"];
    let told = json(&weir.run(&all).await.expect_code(0));
    assert_eq!((&told["links"][0]["letters"], &told["links"][0]["rows"]), (&1.into(), &1.into()));
    assert_eq!((count(&pair.target).await, count(&pair.source).await), ("2".into(), "0".into()));
}

/// Broken if what a running link made of a row that was asked for was not told, if a link that tries
/// nothing was waited for, or if the wait had no end.
#[tokio::test]
async fn what_comes_of_a_retry_is_told() {
    let Some((pair, weir)) = ready(Server::MariaDb1011, Server::Postgres15).await else { return };
    let child = weir.spawn(&["run"]);
    until("weir runs", SOON, async || {
        weir.run(&["status", "--json"]).await.stdout.matches("\"state\": \"running\"").count() == 2
    })
    .await;
    for number in ["1", "2", "3"] {
        let row = format!(r#"[["int","{number}"]]"#);
        Written { table: "dead.gone", row: &row, ..of("", "value") }.write(&pair.target).await;
    }
    let retry = ["dead-letters", "retry", "left:right", "--timeout", "20s"];
    let link = async {
        until("all are asked for", SOON, async || asked(&pair.target).await.len() == 3).await;
        let done = "DELETE FROM weir.dead_letter WHERE id = 1; UPDATE weir.dead_letter \
                    SET asked_at = NULL, attempts = 2, error = 'it still does not fit' WHERE id = 2";
        pair.target.execute(done).await.expect("plays the link");
        tokio::time::sleep(Duration::from_secs(2)).await;
        pair.target.execute("DELETE FROM weir.dead_letter WHERE id = 3").await.expect("plays");
    };
    let (told, ()) = tokio::join!(weir.run(&retry), link);
    let told = told.expect_code(1);
    for phrase in [
        "left:right  dead.gone 1: applied",
        "left:right  dead.gone 2: refused again: value: it still does not fit",
        "hint: run `weir explain left:right`",
        "left:right  dead.gone 3: applied",
        "left:right: 2 of 3 applied",
    ] {
        assert!(told.stdout.contains(phrase), "no {phrase:?} in\n{}", told.stdout);
    }
    let late = weir.run(&["dead-letters", "retry", "left:right", "--timeout", "1s"]).await;
    late.expect_code(1).expect_phrase("dead.gone 2: not tried within 1s");
    let late = ["dead-letters", "retry", "--all", "--timeout", "1s", "--json"];
    let late = json(&weir.run(&late).await.expect_code(1));
    assert_eq!(
        (&late["rows"][0]["outcome"], &late["rows"][0]["row"]),
        (&"waiting".into(), &"2".into())
    );
    weir.run(&["pause", "left:right"]).await.expect_code(0);
    let paused = weir.run(&["dead-letters", "retry", "2", "--timeout", "60s"]).await.expect_code(1);
    paused.expect_phrase("tries none of them").expect_phrase("`weir resume left:right`");
    weir.run(&["dead-letters", "discard", "--yes", "--all"]).await.expect_code(0);
    weir.run(&["dead-letters", "retry", "--all"]).await.expect_code(0);
    drop(child);
}

/// Broken if what a link itself sets aside could not be read by people, told a secret, was not tried when
/// a person asked for it, or if a link that has too much of it did not go on once that is mended.
#[tokio::test]
async fn a_link_and_its_letters() {
    let Some((pair, mut weir)) = ready(Server::MariaDb1011, Server::Postgres15).await else {
        return;
    };
    let small = "ALTER TABLE t ADD CONSTRAINT small CHECK (id < 1000)";
    execute_in(&pair.target, SPACE, small).await;
    weir.append("on_poison = \"park\"\ndead_letters_max = 1\n");
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let text = text.replacen("[\"dead.t\"]\n", "[\"dead.t\"]\nsensitive = [\"a\"]\n", 1);
    std::fs::write(weir.config(), text).expect("weir.toml");
    let explained = weir.run(&["explain", "left:right"]).await.expect_code(0);
    explained.expect_phrase("range-checked, sensitive");
    let mut child = weir.spawn(&["run"]);
    let running = async || {
        weir.run(&["status", "--json"]).await.stdout.matches("\"state\": \"running\"").count()
    };
    until("weir runs", SOON, async || running().await == 2).await;
    for sql in [
        "INSERT INTO t VALUES (5000, 'hush')",
        "UPDATE t SET a = 'hush more' WHERE id = 5000",
        "INSERT INTO t VALUES (1, 'good')",
    ] {
        execute_in(&pair.source, SPACE, sql).await;
    }
    weir.run(&["wait", "left:right"]).await.expect_code(0);
    let target =
        async || query_in(&pair.target, SPACE, "SELECT id, a FROM {space}.t ORDER BY id").await;
    assert_eq!(target().await, ["1\tgood"]);
    let list = weir.run(&["dead-letters", "list"]).await.expect_code(0);
    list.expect_phrase("1 + 1 behind").expect_phrase("waits for 1").expect_phrase("small");
    let show = weir.run(&["dead-letters", "show", "1"]).await.expect_code(0);
    assert!(show.stdout.contains("\"id\": 5000") && show.stdout.contains("\"a\": \"sha256:"));
    let all = weir.run(&["dead-letters", "export"]).await.expect_code(0);
    assert!(!(show.stdout + &all.stdout + &weir.log()).contains("hush"));
    let refused = weir.run(&["dead-letters", "retry", "1"]).await.expect_code(1);
    refused
        .expect_phrase("dead.t 5000: refused again: constraint: ")
        .expect_phrase("0 of 1 applied");
    execute_in(&pair.source, SPACE, "INSERT INTO t VALUES (6000, 'hush')").await;
    until("one link runs", SOON, async || running().await == 1).await;
    let halted = weir.run(&["dead-letters", "retry", "left:right"]).await.expect_code(1);
    halted.expect_phrase("is halted").expect_phrase("then `weir resume left:right`");
    execute_in(&pair.target, SPACE, "ALTER TABLE t DROP CONSTRAINT small").await;
    weir.run(&["resume", "left:right"]).await.expect_code(0);
    until("both sides are equal", SOON, async || {
        target().await == ["1\tgood", "5000\thush more", "6000\thush"]
    })
    .await;
    weir.run(&["dead-letters", "list", "left:right"]).await.expect_code(0).expect_phrase("none");
    child.kill().await.expect("ends");
}
