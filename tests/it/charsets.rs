//! The character sets of weir are those of the servers: every code of every set, both ways, asked of
//! MySQL and MariaDB.
//!
//! With `WEIR_BLESS` the answers are written to the file of tables first; a server's table that comes
//! to differ from the other's must be marked so in the list of names.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use weir::sandbox::{Options, Server, require};
use weir::transform::Charset;
use weir::transform::charset::NAMES;

mod pack;

/// The first number for a code of four bytes.
const FOUR: u32 = 0x0100_0000;

/// What a server says of a set: characters by code, and how many bytes a character takes that comes back.
#[derive(Default, PartialEq, Eq)]
pub struct Told {
    codes: BTreeMap<u32, u32>,
    lengths: BTreeMap<u32, u8>,
}

/// A numbers table 0 to 65535, and a session for it.
async fn session(server: Server) -> Option<(weir::sandbox::Running, Conn)> {
    let running = require(server, Options::default()).await.expect("server")?;
    let mut conn = running.connect_mysql().await.expect("connect");
    for sql in [
        "SET NAMES utf8mb4",
        "SET SESSION group_concat_max_len = 1000000, sql_mode = ''",
        "CREATE DATABASE sets",
        "USE sets",
        "CREATE TABLE d (n INT UNSIGNED PRIMARY KEY)",
        "INSERT INTO d WITH RECURSIVE c AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM c WHERE n < 255) SELECT n FROM c",
        "CREATE TABLE n (n INT UNSIGNED PRIMARY KEY)",
        "INSERT INTO n SELECT a.n * 256 + b.n FROM d a, d b",
    ] {
        conn.query_drop(sql).await.expect(sql);
    }
    Some((running, conn))
}

/// The codes of one to four bytes that a set of this width may have: an expression of `n`, which
/// numbers, and what to add to a number of it.
fn forms(name: &str, bytes: u8) -> Vec<(&'static str, &'static str, u32)> {
    let mut forms = vec![("UNHEX(LPAD(HEX(n), 2, '0'))", "n < 256", 0)];
    if bytes > 1 {
        forms.push(("UNHEX(HEX(n))", "n >= 32768", 0));
    }
    if bytes == 3 {
        forms.push(("UNHEX(CONCAT('8F', HEX(n)))", "n >= 32768", 0x8F_0000));
    }
    if name == "gb18030" {
        let code = "CHAR(129 + n DIV 12600, 48 + n DIV 1260 MOD 10, 129 + n DIV 10 MOD 126, 48 + n MOD 10)";
        forms.push((code, "n < 65536", FOUR));
    }
    forms
}

/// The bytes of a code.
fn bytes_of(code: u32) -> Vec<u8> {
    if let Some(n) = code.checked_sub(FOUR) {
        let byte = |from: u8, n: u32| from + n as u8;
        return vec![
            byte(0x81, n / 12_600),
            byte(0x30, n / 1_260 % 10),
            byte(0x81, n / 10 % 126),
            byte(0x30, n % 10),
        ];
    }
    let all = code.to_be_bytes();
    let from = if code < 0x100 {
        3
    } else if code < 0x1_0000 {
        2
    } else {
        1
    };
    all[from..].to_vec()
}

/// Asks for the text of every code, in UTF-32; an empty answer is none.
async fn texts(conn: &mut Conn, name: &str, bytes: u8) -> BTreeMap<u32, Vec<u32>> {
    let mut texts = BTreeMap::new();
    for (code, condition, first) in forms(name, bytes) {
        let sql = format!(
            "SELECT MIN(n), GROUP_CONCAT(IFNULL(HEX(CONVERT(CONVERT({code} USING {name}) USING utf32)), '') ORDER BY n) \
             FROM n WHERE {condition} GROUP BY n DIV 256 ORDER BY 1"
        );
        let rows: Vec<(u32, String)> = conn.query(&sql).await.expect(&sql);
        for (low, list) in rows {
            for (at, text) in list.split(',').enumerate() {
                let unit = |at: usize| u32::from_str_radix(&text[at..at + 8], 16).expect("hex");
                let text = (0..text.len()).step_by(8).map(unit).collect();
                texts.insert(first + low + at as u32, text);
            }
        }
    }
    texts
}

/// Asks how many bytes each of these characters takes, where it comes back.
async fn lengths(conn: &mut Conn, name: &str, characters: &BTreeSet<u32>) -> BTreeMap<u32, u8> {
    let list: Vec<String> = characters.iter().map(u32::to_string).collect();
    let sql = format!(
        "SELECT n, LENGTH(e) FROM (SELECT n, CONVERT(CONVERT(UNHEX(LPAD(HEX(n), 8, '0')) USING utf32) USING {name}) e \
         FROM n WHERE n IN ({})) t WHERE HEX(CONVERT(e USING utf32)) = LPAD(HEX(n), 8, '0')",
        list.join(",")
    );
    conn.query::<(u32, u8), _>(&sql).await.expect(name).into_iter().collect()
}

/// What the server says of one set; a question mark stands for what it cannot say.
async fn told(conn: &mut Conn, name: &str, bytes: u8) -> Told {
    let mut told = Told::default();
    for (code, text) in texts(conn, name, bytes).await {
        // MySQL says what comes before a byte that is out of place: such a pair is no code.
        let lead = u32::from(bytes_of(code)[0]);
        if code > 0xFF && told.codes.contains_key(&lead) {
            continue;
        }
        match text[..] {
            [0x3F] if code != 0x3F => {}
            // What a code without a character becomes; only GB 18030 has a code for it.
            [0xFFFD] if code < FOUR => {}
            [character] => drop(told.codes.insert(code, character)),
            _ => {}
        }
    }
    let characters = told.codes.values().copied().collect();
    told.lengths = lengths(conn, name, &characters).await;
    told
}

/// Where weir and the server differ.
fn differences(name: &str, mariadb: bool, told: &Told, bytes: u8) -> Vec<String> {
    let charset = Charset::named(name, mariadb).expect(name);
    let mut wrong = Vec::new();
    for (_, condition, first) in forms(name, bytes) {
        let numbers = match condition {
            "n < 256" => 0..0x100,
            "n >= 32768" => 0x8000..0x1_0000,
            _ => 0..0x1_0000,
        };
        for code in numbers.map(|n| first + n) {
            let own = charset.text(Bytes::from(bytes_of(code)));
            let own = own.filter(|text| text.chars().count() == 1);
            let own = own.and_then(|text| text.chars().next()).map(u32::from);
            if own != told.codes.get(&code).copied() {
                wrong.push(format!("{name} {code:X}: {own:X?}, not {:X?}", told.codes.get(&code)));
            }
        }
    }
    for character in (0..0x1_0000).filter_map(char::from_u32) {
        let text = character.to_string();
        let own = if charset.holds(&text) { charset.bytes_of(&text) } else { 0 };
        let server = told.lengths.get(&u32::from(character)).copied().unwrap_or(0);
        if own != usize::from(server) {
            wrong.push(format!("{name} U+{:04X}: {own} bytes, not {server}", u32::from(character)));
        }
    }
    wrong
}

/// The ids of collations are those of the server, and every set of it is known.
async fn collations(conn: &mut Conn, mariadb: bool) {
    let table = if mariadb { "COLLATION_CHARACTER_SET_APPLICABILITY" } else { "COLLATIONS" };
    let sql = format!("SELECT ID, CHARACTER_SET_NAME FROM information_schema.{table}");
    let all: Vec<(u32, String)> = conn.query(sql).await.expect("collations");
    assert!(all.len() > 200, "{}", all.len());
    for (id, name) in all {
        let known = Charset::of_collation(id, mariadb);
        assert!(
            known.is_some() && known == Charset::named(&name, mariadb),
            "{id} {name} {known:?}"
        );
    }
    let sql = "SELECT CHARACTER_SET_NAME, MAXLEN FROM information_schema.CHARACTER_SETS";
    for (name, bytes) in conn.query::<(String, u32), _>(sql).await.expect("sets") {
        let known = Charset::named(&name, mariadb).map(Charset::bytes_per_char);
        assert_eq!(known, Some(bytes), "{name}");
    }
}

/// Characters beyond the basic plane have the codes of four bytes in Unicode's order, and no other code of
/// four bytes has a character.
async fn beyond(conn: &mut Conn) {
    let n = "(c.n - 65536 + 189000)";
    let code = format!(
        "CHAR(129 + {n} DIV 12600, 48 + {n} DIV 1260 MOD 10, 129 + {n} DIV 10 MOD 126, 48 + {n} MOD 10)"
    );
    let sql = format!(
        "SELECT COUNT(*), SUM(CONVERT(CONVERT(UNHEX(LPAD(HEX(c.n), 8, '0')) USING utf32) USING gb18030) \
         <> CONVERT({code} USING gb18030)) FROM \
         (SELECT 65536 * d.n + n.n AS n FROM d, n WHERE d.n BETWEEN 1 AND 16 AND n.n MOD 16 = d.n MOD 16) c"
    );
    let (all, wrong): (u64, u64) = conn.query_first(sql).await.expect("codes").expect("a row");
    assert_eq!((all, wrong), (65_536, 0));
}

/// Broken if a set came to be another than the server's: a text would be bent or refused.
#[tokio::test]
async fn character_sets_are_those_of_the_servers() {
    let mut all: BTreeMap<(usize, bool), Told> = BTreeMap::new();
    for server in [Server::MySql97, Server::MariaDb1011] {
        let Some((_running, mut conn)) = session(server).await else { return };
        let mariadb = server.is_mariadb();
        collations(&mut conn, mariadb).await;
        for (at, set) in NAMES.iter().enumerate() {
            if mariadb && set.name == "gb18030" {
                continue;
            }
            all.insert((at, mariadb), told(&mut conn, set.name, set.bytes).await);
        }
        if !mariadb {
            beyond(&mut conn).await;
        }
    }
    if std::env::var_os("WEIR_BLESS").is_some() {
        pack::write(&all);
        return;
    }
    let mut wrong = Vec::new();
    for ((at, mariadb), told) in &all {
        let set = &NAMES[*at];
        wrong.extend(differences(set.name, *mariadb, told, set.bytes));
    }
    assert!(
        wrong.is_empty(),
        "{} differ (WEIR_BLESS=1 writes them anew), such as\n{}",
        wrong.len(),
        {
            wrong.truncate(40);
            wrong.join("\n")
        }
    );
}
