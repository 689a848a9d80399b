//! Where links begin, and how copies are read.

use super::{HEAD, parsed, problems};
use crate::config::{Config, LinkName, Start, TlsMode};

const LINKS: &str = "[[replicate]]\nfrom = 'shop'\nto = 'dwh'\ntables = ['shop.*']\n\
    [[replicate]]\nfrom = 'crm'\nto = 'dwh'\ntables = ['sales.*']\ninto = 'sales'\n\
    [[replicate]]\nfrom = 'dwh'\nto = 'crm'\ntables = ['public.*']\ninto = 'dwh'\n";

fn config(text: &str) -> Config {
    match parsed(&format!("{HEAD}{LINKS}{text}")) {
        Ok(config) => config,
        Err(problems) => panic!("{text}\n{problems}"),
    }
}

fn refused(text: &str, expected: &str) {
    let found = problems(&format!("{HEAD}{LINKS}{text}"));
    assert!(found.contains(expected), "expected {expected:?} of\n{text}\nfound:\n{found}");
}

fn start(source: &str, written: &str) -> String {
    let target = if source == "dwh" { "crm" } else { "dwh" };
    let config = config(&format!("[link.{source}.{target}]\nstart = {written}\n"));
    let link = LinkName { source: source.to_owned(), target: target.to_owned() };
    match config.options(&link).start.clone().unwrap() {
        Start::At(position) => position.to_string(),
        word => format!("{word:?}"),
    }
}

/// Broken if a link began at another place than the one that is written.
#[test]
fn a_start_is_what_is_written() {
    const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    assert_eq!(start("shop", "'now'"), "Now");
    assert_eq!(start("dwh", "'snapshot'"), "Snapshot");
    assert_eq!(start("dwh", "{ lsn = '16/B374D848' }"), "lsn:16/B374D848");
    let gtid = format!("{UUID}:1-5:11-18");
    assert_eq!(start("shop", &format!("{{ gtid = '{gtid}' }}")), format!("mysql:{gtid}"));
    assert_eq!(start("crm", "{ gtid = '0-1-100,5-2-7' }"), "mariadb:0-1-100,5-2-7");
    let place = "{ file = 'binlog.000003', pos = 1234 }";
    assert_eq!(start("shop", place), "mysql-place:@binlog.000003:1234");
    assert_eq!(start("crm", place), "mariadb:@binlog.000003:1234");
    let every = config("[apply]\nstart = 'snapshot'\n[link.shop.dwh]\ncopy_readers = 3\n");
    assert!(every.links.values().all(|options| options.start == Some(Start::Snapshot)));
}

/// Broken if a place of another dialect or in another form were taken for one, or one place for the
/// place of every link.
#[test]
fn a_start_that_is_no_place_is_refused() {
    let link = |link: &str, start: &str| format!("[link.{link}]\nstart = {start}\n");
    for (name, written, expected) in [
        ("shop.dwh", "{ lsn = '0/1' }", "not a place in the log of MySQL"),
        ("dwh.crm", "{ gtid = '0-1-1' }", "write { lsn = \"0/16B3748\" }"),
        ("dwh.crm", "{ lsn = '1' }", "not an LSN"),
        ("shop.dwh", "{ gtid = '0-1-1' }", "not a set of MySQL's GTIDs"),
        ("crm.dwh", "{ gtid = 'x' }", "not a list of MariaDB's GTIDs"),
        ("crm.dwh", "{ file = 'b.000001' }", "not a place in the log of MariaDB"),
        ("crm.dwh", "{ file = 'b.000001', pos = 3 }", "before byte 4"),
        ("crm.dwh", "{ file = '/var/lib/b.000001', pos = 4 }", "not a file of a binary log"),
        ("crm.dwh", "{ file = 'b', pos = 4 }", "not a file of a binary log"),
        ("crm.dwh", "{ gtid = '0-1-1', file = 'b.000001', pos = 4 }", "not a place in the log"),
        ("crm.dwh", "{}", "not a place in the log"),
        ("crm.dwh", "{ gtd = '0-1-1' }", "did you mean `gtid`?"),
        ("crm.dwh", "'later'", "\"now\", \"snapshot\""),
    ] {
        refused(&link(name, written), expected);
    }
    refused("[apply]\nstart = { lsn = '0/1' }\n", "write it in [link.SOURCE.TARGET]");
    let once = problems(&format!("{HEAD}{LINKS}{}", link("shp.dwh", "{ lsn = '0/1' }")));
    assert!(once.contains("[database.shp]") && !once.contains("a place"), "{once}");
}

/// Broken if copies were read from another server, as another user or with less safety than is
/// written.
#[test]
fn copies_are_read_where_it_is_written() {
    let read = |url: &str, more: &str| {
        let text = format!(
            "name = 'p'\n[database.a]\nurl = 'postgres://u@db1/d'\nread_url = '{url}'\n{more}\
             [database.b]\nurl = 'mysql://w@127.0.0.1/e'\n\
             [[replicate]]\nfrom = 'a'\nto = 'b'\ntables = ['public.*']\n"
        );
        parsed(&text)
    };
    let secret = "password = { env = 'A' }\ntls = 'verify-ca'\ntls_ca = 'ca.pem'\n";
    let config = read("postgres://db2:6432", secret).unwrap();
    let (main, copy) = (&config.databases["a"], config.databases["a"].read.as_ref().unwrap());
    assert_eq!(copy.listens_at(), "db2:6432");
    assert_eq!((copy.user.as_str(), copy.database.as_str()), ("u", "d"));
    assert_eq!((&copy.password, &copy.tls), (&main.password, &main.tls));
    assert!(copy.name.contains("read_url") && copy.read.is_none());
    for (url, expected) in [
        ("postgres://v@db2/e", TlsMode::VerifyFull),
        ("postgres://127.0.0.1", TlsMode::Off),
        ("postgres://db2?sslmode=require", TlsMode::Require),
        ("postgres://?host=/run/postgresql", TlsMode::Off),
    ] {
        let config = read(url, "").unwrap();
        assert_eq!(config.databases["a"].read.as_ref().unwrap().tls.mode, expected, "{url}");
    }
    for (url, expected) in [
        ("mysql://db2", "`read_url` is of MySQL, and `url` of PostgreSQL"),
        ("postgres://db2,db3", "several hosts"),
        ("postgres://other@db1:5432", "is the server of `url`"),
        ("postgres://u:hunter2@db2", "read_url: the url holds a password"),
    ] {
        let found = read(url, "").unwrap_err().to_string();
        assert!(found.contains(expected) && !found.contains("hunter2"), "{found}");
    }
}

/// Broken if a copy were not slowed down as it is written, or a limit could not be taken back for one
/// link.
#[test]
fn copies_have_limits() {
    let limits = "[apply]\nmax_rows_per_second = 5000\ncopy_readers = 16\n\
        [link.shop.dwh]\nmax_rows_per_second = 'off'\n[link.crm.dwh]\ncopy_readers = 1\n";
    let config = config(limits);
    let of = |source: &str| {
        let link = LinkName { source: source.to_owned(), target: "dwh".to_owned() };
        let options = config.options(&link);
        (options.max_rows_per_second, options.copy_readers)
    };
    assert_eq!((of("shop"), of("crm")), ((None, 16), (Some(5000), 1)));
    let wrong = "[apply]\nmax_rows_per_second = 0\ncopy_readers = 17\n";
    refused(wrong, "`max_rows_per_second` is out of range");
    refused(wrong, "write a number from 1 to 16");
}
