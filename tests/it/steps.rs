//! Steps on real servers, there and back: values are encrypted on their way to another dialect, and what is
//! decrypted on the way home is what it was; documents get scalars, columns the time of the commit, tables names.

use weir::sandbox::Server;

use crate::harness::{Pair, Weir, execute_in, query_in};

const SPACE: &str = "hide";
const HOME: &str = "home";

const SOURCE: &str = "CREATE TABLE person (no BIGINT PRIMARY KEY, name TEXT, born DATE, pay NUMERIC(12,2), photo BYTEA, doc JSONB, n INT, at TIMESTAMPTZ)";
const TARGET: &str = "CREATE TABLE person (no VARCHAR(64) COLLATE utf8mb4_bin PRIMARY KEY, name VARBINARY(200), born VARCHAR(100), \
    pay VARCHAR(200) CHARACTER SET ascii, photo TEXT, doc JSON, n INT, at DATETIME(6))";

/// The command prints the key, as one that asks a vault would.
fn cipher(step: &str, siv: bool, more: &str) -> String {
    let (algo, key) = if siv { ("aes_256_siv", 64) } else { ("aes_256_gcm_siv", 32) };
    let key = "5a".repeat(key);
    format!(
        "{{ {step} = {{ algo = \"{algo}\", key = {{ command = [\"echo\", \"{key}\"] }}{more} }} }}"
    )
}

fn mapping(there: bool) -> String {
    let (place, step) = if there { (SPACE, "encrypt") } else { (HOME, "decrypt") };
    let names = ", aad = [\"table\", \"column\"]";
    let others = match there {
        true => {
            "doc = { to.right = [{ json_set = { path = \"$.n\", column = \"n\" } }, \
             { json_set = { path = \"$.by\", value = \"weir\" } }] }\n\
             [table.visit]\nin.left = \"hide.VisitLog\"\n\
             [table.visit.column]\nseenAt = { to.right = [{ expr = \"now_at_commit()\" }] }\n\
             [[replicate]]\nfrom = \"left\"\nto = \"right\"\ntables = [\"hide.Visit*\"]\n\
             [conversion]\nnaming = \"snake\""
        }
        false => "at = { to.right = [{ expr = \"now_at_commit()\" }] }",
    };
    format!(
        "[table.person]\nin.left = \"{SPACE}.person\"\nin.right = \"{place}.person\"\nowner = \"left\"\n\
         [table.person.column]\nno = {{ to.right = [{}] }}\nname = {{ to.right = [{}] }}\n\
         born = {{ to.right = [{}] }}\npay = {{ to.right = [{}] }}\nphoto = {{ to.right = [{}] }}\n{others}\n\
         [apply]\nstart = \"snapshot\"\n",
        cipher(step, true, ""),
        cipher(step, false, names),
        cipher(step, false, ", encoding = \"hex\""),
        cipher(step, true, names),
        cipher(step, false, ""),
    )
}

async fn caught_up(weir: &Weir) {
    weir.run(&["run", "--until-caught-up"]).await.expect_code(0);
}

const PROBE: &str = "SELECT no, name, born, pay, photo, n FROM {space}.person ORDER BY no";

const VISITS: &str = "SELECT visit_id, what_happened, seen_at IS NULL, \
    seen_at BETWEEN UTC_TIMESTAMP() - INTERVAL 10 MINUTE AND UTC_TIMESTAMP() + INTERVAL 1 MINUTE FROM {space}.visit_log ORDER BY 1";

/// Broken if an encrypted value could be read at the target, came home as another one, did not find its row again,
/// if something that was not encrypted passed for a value, if a time was made up for a row of which nothing tells when it
/// was committed, or a name that the configuration does not give were another than it says.
#[tokio::test]
async fn encrypted_values_come_home() {
    let Some(pair) = Pair::start(Server::Postgres18, Server::MySql97).await else { return };
    pair.create_space(SPACE).await;
    pair.source.execute(&format!("CREATE SCHEMA {HOME}")).await.expect("home");
    execute_in(&pair.source, SPACE, SOURCE).await;
    execute_in(&pair.source, HOME, SOURCE).await;
    execute_in(&pair.target, SPACE, TARGET).await;
    let visits = "CREATE TABLE \"VisitLog\" (\"visitID\" INT PRIMARY KEY, \"whatHappened\" TEXT, \"seenAt\" TIMESTAMPTZ); \
                  INSERT INTO \"VisitLog\" VALUES (1, 'copied', now())";
    execute_in(&pair.source, SPACE, visits).await;
    let visits = "CREATE TABLE visit_log (visit_id INT PRIMARY KEY, what_happened TEXT, seen_at DATETIME(6))";
    execute_in(&pair.target, SPACE, visits).await;
    let rows = "INSERT INTO person VALUES (1, 'Jäne', '1980-02-29', 1234.50, '\\x00ff00', '{\"a\": 1.10}', 7), \
                (2, '', NULL, 0, '', '{}', NULL)";
    execute_in(&pair.source, SPACE, rows).await;
    let weir = Weir::with_tables(&pair, "hide", &mapping(true));
    weir.set_up().await;
    caught_up(&weir).await;
    let changes = "INSERT INTO person VALUES (-3, 'Roe', '2024-01-01', -0.01, NULL, NULL, 1); \
        UPDATE person SET pay = 5, n = 8 WHERE no = 1; UPDATE person SET no = 4 WHERE no = 2; \
        INSERT INTO person VALUES (5, 'gone'); DELETE FROM person WHERE no = 5; \
        INSERT INTO \"VisitLog\" VALUES (2, 'streamed', '1999-01-01')";
    execute_in(&pair.source, SPACE, changes).await;
    caught_up(&weir).await;
    let read = "SELECT count(*), sum(no IN ('1', '4', '-3')), sum(name LIKE 'J%' OR born LIKE '19%' OR pay = '5.00') \
                FROM {space}.person";
    assert_eq!(query_in(&pair.target, SPACE, read).await, ["3\t0\t0"]);
    let documents = "SELECT CAST(doc AS CHAR) FROM {space}.person WHERE doc IS NOT NULL ORDER BY 1";
    let expected = [r#"{"a": 1.1, "n": 8, "by": "weir"}"#, r#"{"n": null, "by": "weir"}"#];
    assert_eq!(query_in(&pair.target, SPACE, documents).await, expected);
    let visits = ["1\tcopied\t1\t\\N", "2\tstreamed\t0\t1"];
    assert_eq!(query_in(&pair.target, SPACE, VISITS).await, visits);
    weir.run(&["verify"]).await.expect_code(0);
    let explained = weir.run(&["explain"]).await.expect_code(0).stdout;
    assert!(explained.contains("by rule, with a way back"), "{explained}");
    assert!(explained.contains("of the time of commit: not compared"), "{explained}");
    assert!(explained.contains("key_name") && !explained.contains("5a5a5a5a"), "{explained}");
    weir.tear_down().await;

    let back = Pair::of(pair.target, pair.source).await;
    let weir = Weir::with_tables(&back, "home", &mapping(false));
    weir.set_up().await;
    caught_up(&weir).await;
    let update = "UPDATE person SET n = 9 WHERE n = 8";
    execute_in(&back.source, SPACE, update).await;
    execute_in(&back.target, SPACE, update).await;
    caught_up(&weir).await;
    let started = query_in(&back.target, SPACE, PROBE).await;
    assert_eq!(query_in(&back.target, HOME, PROBE).await, started);
    assert_eq!(started.len(), 3);
    let times = "SELECT n, at > now() - interval '10 min' AND at < now() + interval '1 min' FROM {space}.person \
                 WHERE at IS NOT NULL";
    assert_eq!(query_in(&back.target, HOME, times).await, ["9\tt"]);
    weir.run(&["verify"]).await.expect_code(0);
    let forged = "UPDATE person SET born = '31' WHERE n = 9";
    execute_in(&back.source, SPACE, forged).await;
    caught_up(&weir).await;
    let letters = weir.run(&["dead-letters", "list"]).await.stdout;
    assert!(letters.contains("1 row"), "{letters}");
    let why = "SELECT error FROM weir.dead_letter";
    let why = query_in(&back.target, HOME, why).await;
    assert!(why.len() == 1 && why[0].contains("step 1 (decrypt): parse"), "{why:?}");
    weir.tear_down().await;
}
