//! What is refused, with the line it is about and the hint that helps.

use std::path::Path;
use std::time::Duration;

use super::{HEAD, parsed, problems};
use crate::config::{OnPoison, Rate, TlsMode};

/// A text after [`HEAD`]: each expected part must be told.
fn refused(text: &str, expected: &[&str]) {
    let found = problems(&format!("{HEAD}{text}"));
    for part in expected {
        assert!(found.contains(part), "expected {part:?} of\n{text}\nfound:\n{found}");
    }
}

fn accepted(text: &str) {
    let found = problems(&format!("{HEAD}{text}"));
    assert_eq!(found, "none", "of\n{text}");
}

const SHOP: &str = "[[replicate]]\nfrom = 'shop'\nto = 'dwh'\ntables = ['shop.*']\n";

/// Broken if weir stopped at the first mistake, or pointed at a wrong line.
#[test]
fn all_problems_are_told_at_once_with_their_lines() {
    let text = "name = 'Prod'\n\
        stat_dir = 'x'\n\
        [http]\n\
        listen = 7171\n\
        [database.shop]\n\
        url = 'mysql://weir:hunter2@127.0.0.1/shop'\n\
        publish = 'columns'\n\
        [database.dwh]\n\
        [apply]\n\
        batch_bytes_max = '8MB'\n\
        start = 'sometime'\n\
        [[replicate]]\n\
        from = 'shopp'\n\
        to = 'dwh'\n\
        tables = ['shop']\n\
        deletes = 'drop'\n\
        [alerts]\n";
    let found = parsed(text).unwrap_err();
    let lines: Vec<(usize, &str)> =
        found.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    assert_eq!(
        lines,
        [
            (1, "`Prod` is not a well-formed name of an installation"),
            (2, "unknown key `stat_dir`"),
            (4, "expected a string, found a whole number"),
            (6, "the url holds a password"),
            (7, "`publish` is not supported by this version"),
            (8, "`url` is missing"),
            (10, "not a size"),
            (11, "not one of the known words"),
            (13, "there is no [database.shopp]"),
            (15, "`shop` is not a pattern of tables"),
            (16, "not one of the known words"),
            (17, "the alerts go nowhere"),
        ]
    );
    let shown = found.to_string();
    assert!(shown.contains("did you mean `state_dir`?") && shown.contains("did you mean `shop`?"));
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// Broken if one of TOML's own traps ended in a message that does not help.
#[test]
fn traps_of_toml_have_hints() {
    let table = "[table.c]\nin.crm = 'a.b'\n";
    refused(
        &format!("{table}[table.c.in]\ndwh = 'public.c'\n"),
        &["weir.toml:10:10: `in` is declared twice", "write all names as `in.DATABASE"],
    );
    refused(
        &format!(
            "{table}[table.c.column]\nphone = {{ in.crm = 'x' }}\n\
             [table.c.column.phone]\nin.dwh = 'y'\n"
        ),
        &["`phone` is declared twice", "this column is already written"],
    );
    refused(
        &format!("{table}[table.c.column]\nowner = 'crm'\nkey = ['a']\nin.dwh = 'public.c'\n"),
        &[
            "weir.toml:11:1: `owner` is a table setting",
            "weir.toml:12:1: `key` is a table setting",
            "weir.toml:13:1: `in` is a table setting",
            "move it above the [table.….column] header",
        ],
    );
    refused(
        &format!("{table}[table.c.column]\nphone = 'phone_e164'\n"),
        &["column `phone` is written as a string", "phone = { in.DATABASE = "],
    );
    for name in ["straße", "zwei wörter", "two words", "a$b"] {
        refused(&format!("{table}[table.c.column]\n{name} = {{}}\n"), &["must be quoted"]);
    }
    refused(
        &format!("{SHOP}rename = {{ shop.usr = 'users' }}\n"),
        &["expected a string, found a table", "a key with a dot is quoted"],
    );
    refused("[table.c]\nin.crm = \"\\d\"\n", &["single quotes"]);
    refused("[apply]\nstart = 'now'\nstart = 'now'\n", &["`start` is declared twice"]);
    refused("[replicate]\nfrom = 'shop'\n", &["expected a list", "double brackets"]);
    refused("[table.c]\nin = {\n crm = 'a.b', }\n", &["over several lines", "trailing comma"]);
}

/// Broken if one link could take, or drop, the slot of another because their names run together.
#[test]
fn links_whose_slots_have_one_name_are_refused() {
    let database =
        |name: &str| format!("[database.{name}]\nurl = 'postgres://u@127.0.0.1/{name}'\n");
    let databases = ["a", "b_c", "a_b", "c"].map(database).concat();
    let link = |from: &str, to: &str| {
        format!("[[replicate]]\nfrom = '{from}'\nto = '{to}'\ntables = ['{from}_s.*']\n")
    };
    refused(
        &format!("{databases}{}{}", link("a", "b_c"), link("a_b", "c")),
        &["the links a:b_c and a_b:c would use one slot", "rename one of the databases"],
    );
}

/// Broken if columns with the names of settings could not be mapped.
#[test]
fn columns_named_like_settings_are_columns() {
    accepted(
        "[table.c]\nin.crm = 'a.b'\nin.dwh = 'public.c'\nowner = 'crm'\n[table.c.column]\n\
         in = { in.crm = 'x' }\nowner = { in.dwh = 'y' }\n\"two words\" = { in.dwh = 'z' }\n",
    );
}

/// Broken if a key of a later version were ignored.
#[test]
fn later_keys_are_refused_by_name() {
    for key in ["verify = { every = '1d' }", "memory_max = '1GiB'", "flagged = {}"] {
        let name = key.split(' ').next().unwrap_or_default();
        let found = problems(&format!("{key}\n{HEAD}"));
        assert!(found.contains(&format!("`{name}` is not supported by this version")), "{found}");
    }
    refused(
        &format!(
            "{SHOP}new_tables = 'copy'\n[table.c]\nin.crm = 'a.b'\nin.dwh = 'p.c'\nowner = 'crm'\n\
             on_flagged = 'revert'\nwhere.crm = 'x'\n[table.c.column]\n\
             a = {{ to.dwh = [{{ trim = 'both' }}], references = 'd', absent = ['x'] }}\n"
        ),
        &[
            "`new_tables`",
            "\"revert\" is not supported",
            "`where`",
            "`references`",
            "`absent` is not supported by this version",
        ],
    );
}

/// Broken if weir took a database it cannot reach as it is told.
#[test]
fn databases_are_checked() {
    refused(
        "[database.pg]\nurl = 'postgres://u@localhost/y'\nserver_id = 7\n\
         [database.two]\nurl = 'mysql://u@localhost/y?sslmode=disable'\ntls = 'prefer'\n\
         password = { env = 'A', file = 'b' }\n[database.Bad-Name]\nurl = 'postgres://u@localhost/z'\n\
         password = 'hunter2'\n[database.same]\nurl = 'mysql://other@127.0.0.1/shop'\n",
        &[
            "`server_id` is for MySQL and MariaDB",
            "not one of the known words",
            "exactly one place",
            "`Bad-Name` is not a well-formed name",
            "a password never stands in this file",
            "databases `shop` and `same` are the same one",
        ],
    );
    refused(
        "[database.m]\nurl = 'mysql://u@localhost/y?ssl-mode=DISABLED'\ntls = 'off'\nserver_id = 0\n\
         heartbeat = '60s'\n[database.p]\nurl = 'postgres://u@localhost/y'\nheartbeat = '1s'\n",
        &[
            "given twice",
            "`server_id` is out of range",
            "`heartbeat` is for PostgreSQL",
            "`heartbeat` is out of range",
        ],
    );
    assert!(!problems(&format!("{HEAD}password = 'hunter2'\n")).contains("hunter2"));
}

/// Broken if a key of TLS were ignored, so that a connection was less safe than it reads.
#[test]
fn tls_keys_without_effect_are_refused() {
    refused(
        "[database.near]\nurl = 'postgres://u@localhost/y'\ntls_ca = 'ca.pem'\n\
         [database.open]\nurl = 'mysql://u@db.example.org/y'\ntls = 'require'\ntls_ca = ''\n\
         [database.half]\nurl = 'mysql://u@db.example.org/z'\ntls_cert = 'weir.pem'\n\
         [database.other]\nurl = 'mysql://u@db.example.org/w'\ntls_key = 'weir.key'\n\
         [database.socket]\nurl = 'postgres://u@/w?host=/run/postgresql'\ntls = 'require'\n",
        &[
            "there is no TLS on a unix socket",
            "`tls_ca` has no effect with tls \"off\"",
            "`tls_ca` has no effect with tls \"require\"",
            "not a path of a file",
            "`tls_cert` stands without `tls_key`",
            "`tls_key` stands without `tls_cert`",
        ],
    );
}

/// Broken if a database away from this machine were reached without TLS unless that is written.
#[test]
fn tls_is_on_unless_it_is_switched_off() {
    let tls = |url: &str, keys: &str| {
        let text = format!("{HEAD}[database.x]\nurl = '{url}'\n{keys}\n{SHOP}");
        parsed(&text).unwrap().databases["x"].tls.clone()
    };
    let far = "postgres://u@db.example.org/x";
    assert_eq!(tls(far, "").mode, TlsMode::VerifyFull);
    assert_eq!(tls(far, "tls = 'off'").mode, TlsMode::Off);
    assert_eq!(tls("mysql://u@db.example.org/x?ssl-mode=VERIFY_CA", "").mode, TlsMode::VerifyCa);
    assert_eq!(tls("postgres://u@localhost/x", "").mode, TlsMode::Off);
    let full = tls(far, "tls_ca = 'ca.pem'\ntls_cert = '/weir.pem'\ntls_key = 'weir.key'");
    assert_eq!(full.ca.as_deref(), Some(Path::new("/etc/weir/ca.pem")));
    let identity = full.identity.unwrap();
    assert_eq!(identity, ("/weir.pem".into(), "/etc/weir/weir.key".into()));
}

/// Broken if a limit of zero, or one beyond the machine, reached the data path.
#[test]
fn limits_have_ranges() {
    refused(
        &format!(
            "{SHOP}[apply]\nbatch_rows_max = 0\nqueue_bytes_max = '1B'\nlock_timeout = '0s'\n\
             retry_max = '100ms'\nidle_witness_every = 10\n[link.shop.dwh]\nbatch_rows_max = -1\n"
        ),
        &[
            "`batch_rows_max` is out of range",
            "`queue_bytes_max` is out of range",
            "from 64KiB to 1GiB",
            "`lock_timeout` is out of range",
            "`retry_max` is shorter than `retry_initial` (200ms)",
            "expected a duration, found a whole number",
            "negative or too large",
        ],
    );
    refused(
        &format!("{SHOP}[link.dwh.shop]\n"),
        &["nothing goes from `dwh` to `shop`", "shop:dwh"],
    );
    refused("[link.dwh.sohp]\n", &["there is no [database.sohp]"]);
    refused("", &["nothing is replicated"]);
}

/// Broken if a limit of dead letters, or a secret, were read as something else than is written.
#[test]
fn settings_of_dead_letters_are_checked() {
    refused(
        &format!(
            "{SHOP}on_poison = 'skip'\nsensitive = ['phone', 'phone', '']\n[apply]\n\
             dead_letters_max = 0\ndead_letters_rate_max = '100/m'\n[link.shop.dwh]\n\
             dead_letters_max = 1_000_001\ndead_letters_rate_max = 100\non_poison = true\n\
             [table.c]\nin.shop = 'shop.c'\n[table.c.column]\nphone = {{ sensitive = 'yes' }}\n"
        ),
        &[
            "weir.toml:12:13: not one of the known words",
            "write one of: \"park\", \"halt\"",
            "`phone` is written twice",
            "a column's name is empty",
            "`dead_letters_max` is out of range",
            "write a number from 1 to 1000000",
            "weir.toml:16:25: not a rate",
            "as in \"100/min\"",
            "weir.toml:18:20: `dead_letters_max` is out of range",
            "expected a rate, found a whole number",
            "expected a word, found true or false",
            "expected true or false, found a string",
        ],
    );
    let text = format!(
        "{HEAD}{SHOP}sensitive = ['*_no']\n[apply]\non_poison = 'halt'\ndead_letters_max = 7\n\
         [link.shop.dwh]\ndead_letters_rate_max = '5/s'\n[table.c]\nin.shop = 'shop.c'\n\
         on_poison = 'park'\nsensitive = ['phone']\n[table.c.column]\nphone = {{ sensitive = false }}\n"
    );
    let config = parsed(&text).unwrap();
    let options = config.links.values().next().unwrap();
    assert_eq!((options.on_poison, options.dead_letters_max), (OnPoison::Halt, 7));
    assert_eq!(options.dead_letters_rate_max, Rate { count: 5, period: Duration::from_secs(1) });
    assert_eq!(config.apply.dead_letters_rate_max.period, Duration::from_secs(60));
    let (rule, table) = (&config.replicates[0], &config.tables[0]);
    assert_eq!((rule.on_poison, table.on_poison), (None, Some(OnPoison::Park)));
    assert_eq!(
        (rule.sensitive.join(""), table.sensitive.join("")),
        ("*_no".into(), "phone".into())
    );
    assert_eq!(table.sensitive_columns.get("phone"), Some(&false));
}

/// Broken if a replication could take other tables than the ones meant.
#[test]
fn replications_are_checked() {
    refused(
        "[[replicate]]\nfrom = 'shop'\nto = 'shop'\ntables = []\ninto = 'a.b'\n\
         rename = { 'shop.a' = 'x' }\n",
        &["the same database", "no table is named", "not a name of a schema", "not one of these"],
    );
    refused(
        &format!(
            "{SHOP}exclude = ['shop.b']\nrename = {{ 'shop.a' = 'x', 'shop.b' = 'y', 'shop.c' = 'x' }}\n"
        ),
        &["`shop.b` is not one of these tables", "`shop.c` and `shop.a` get the same name"],
    );
    refused(
        &format!("{SHOP}\n[[replicate]]\nfrom = 'shop'\nto = 'dwh'\ntables = ['shop.orders']\n"),
        &["weir.toml:13:1: `shop.orders` is also matched by the [[replicate]] at weir.toml:8"],
    );
    accepted(&format!(
        "{SHOP}exclude = ['shop.orders']\n[[replicate]]\nfrom = 'shop'\nto = 'dwh'\n\
         tables = ['shop.orders']\ndeletes = 'ignore'\n"
    ));
    let back = "[[replicate]]\nfrom = 'dwh'\nto = 'shop'\n";
    refused(&format!("{SHOP}{back}tables = ['shop.*']\n"), &["the same table both ways"]);
    refused(&format!("{SHOP}{back}tables = ['public.*']\n"), &["the same table both ways"]);
    accepted(&format!("{SHOP}into = 'shop'\n{back}tables = ['public.*']\ninto = 'dwh'\n"));
}

/// Broken if a table could have no master, two masters, or a place weir has to guess.
#[test]
fn tables_are_checked() {
    let pair = "in.crm = 'sales.c'\nin.dwh = 'public.c'\n";
    refused(&format!("[table.c]\n{pair}"), &["table `c` has no owner", "`owner = \"crm\"`"]);
    refused(&format!("[table.c]\n{pair}owner = 'shop'\n"), &["`shop` does not hold this table"]);
    refused(
        &format!("[table.c]\n{pair}in.shop = 'a.b'\nowner = 'crm'\n"),
        &["more than two databases"],
    );
    refused("[table.c]\nowner = 'crm'\n", &["weir.toml:8:1: `in` is missing"]);
    refused("[table.c]\nin.crm = 'sales.c'\n", &["no [[replicate]] from `crm` matches `sales.c`"]);
    refused(
        &format!("{SHOP}[table.c]\nin.shop = 'shop.c'\nowner = 'dwh'\n"),
        &["the owner `dwh` does not hold this table"],
    );
    refused(
        "[table.c]\nin.crm = 'c'\nin.dwh = 'a.b.c'\nowner = 'crm'\n",
        &["does not name a table", "hold a dot"],
    );
    refused(
        &format!(
            "[table.c]\n{pair}owner = 'crm'\nkey = ['id', 'no', 'no']\nlocal = ['id']\nignore = ['n*', 'x']\n\
             [table.c.column]\nx = {{ in.dwh = 'y' }}\nz = {{ in.dwh = 'y', in.shop = 'z' }}\n"
        ),
        &[
            "key column `id` is not replicated",
            "key column `no` is not replicated",
            "`no` is written twice",
            "column `x` is also ignored",
            "columns `x` and `z` have the same name",
            "`shop` does not hold table `c`",
        ],
    );
    refused(
        &format!("[table.c]\n{pair}owner = 'crm'\n[table.d]\n{pair}owner = 'dwh'\n"),
        &["the same table both ways"],
    );
    refused(
        &format!(
            "[table.c]\n{pair}owner = 'crm'\n[table.d]\nin.shop = 'shop.c'\nin.dwh = 'public.c'\nowner = 'shop'\n"
        ),
        &["`public.c` is also written by [table.c] at weir.toml:8"],
    );
    refused(
        &format!("{SHOP}[table.c]\nin.shop = 'shop.c'\nin.dwh = 'public.c'\nowner = 'dwh'\n"),
        &["the same table both ways", "add \"shop.c\" to its `exclude`"],
    );
    accepted(&format!("{SHOP}[table.c]\nin.shop = 'shop.c'\nin.dwh = 'public.c'\n"));
}
