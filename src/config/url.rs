//! A database's address: `mysql://user@host:port/database`, `mariadb://…`, `postgres://…`.
//!
//! Host and port, user and database are percent-decoded and checked; the port has the server's
//! default. A password in the address is refused. What is wrong is told without ever repeating the
//! address or a part of it, since a mistyped one may hold a password anywhere. A unix socket is a path
//! in place of the host, percent-encoded, or an option, and stands alone. Several hosts of the network
//! are written as libpq has them, `host:port,host:port`. Other options are refused by name. `sslmode`
//! and `ssl-mode` are understood instead of `tls`, each
//! with the words of its own world; modes that fall back to plain text are refused.

use super::settings::{Dialect, TlsMode};

/// A well-formed address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) dialect: Dialect,
    /// At least one.
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) user: String,
    pub(crate) database: String,
    /// From `sslmode` or `ssl-mode`.
    pub(crate) tls: Option<TlsMode>,
}

/// What is wrong with an address, and a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

const SCHEMES: [(&str, Dialect, u16); 4] = [
    ("mysql", Dialect::Mysql, 3306),
    ("mariadb", Dialect::Mariadb, 3306),
    ("postgres", Dialect::Postgres, 5432),
    ("postgresql", Dialect::Postgres, 5432),
];

const FORM_HINT: &str = "write it as mysql://user@host:3306/database, mariadb://… or postgres://…";
const PASSWORD_HINT: &str = "remove it and write `password = { file = \"…\" }`, \
     `{ env = \"…\" }` or `{ command = [\"…\"] }` below the url; then change the password, \
     since it stood in a file";

/// Reads an address.
pub(crate) fn parse(text: &str) -> Result<Address, Vec<Fault>> {
    parse_beside(text, None)
}

/// Reads an address that has user and database of `other` where it names none.
pub(crate) fn parse_beside(text: &str, other: Option<&Address>) -> Result<Address, Vec<Fault>> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(vec![fault("the url has no scheme", FORM_HINT)]);
    };
    let Some((_, dialect, default_port)) = SCHEMES.into_iter().find(|(name, ..)| *name == scheme)
    else {
        return Err(vec![fault("the url's scheme is not known", FORM_HINT)]);
    };
    // Wherever the last @ stands, a colon before it separates a password.
    if rest.rsplit_once('@').is_some_and(|(before, _)| before.contains(':')) {
        return Err(vec![fault("the url holds a password", PASSWORD_HINT)]);
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));

    let mut faults = Vec::new();
    let Options { tls, socket } = options(query, &mut faults);
    let hosts = hosts(place, socket, default_port, &mut faults);
    let user = part(user, "user", other.map(|other| &other.user), &mut faults);
    if path.contains('/') {
        faults.push(fault("the url's database name holds a `/`", "write it as %2F"));
    }
    let database = part(path, "database", other.map(|other| &other.database), &mut faults);
    match faults.is_empty() {
        true => Ok(Address { dialect, hosts, user, database, tls }),
        false => Err(faults),
    }
}

/// Whether a host is a unix socket: the path of its folder (PostgreSQL) or its own (MySQL, MariaDB).
pub fn is_socket(host: &str) -> bool {
    host.starts_with('/')
}

/// Whether a host is this machine, so that no TLS is needed.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    is_socket(host)
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn fault(message: impl Into<String>, hint: &'static str) -> Fault {
    Fault { message: message.into(), hint }
}

/// Hosts of an address at most.
const HOSTS_MAX: usize = 16;

/// The hosts in the order in which they are tried.
fn hosts(
    places: &str,
    socket: Option<String>,
    default_port: u16,
    faults: &mut Vec<Fault>,
) -> Vec<(String, u16)> {
    let several = places.contains(',');
    let mut found: Vec<(String, u16)> = Vec::new();
    for place in places.split(',').take(HOSTS_MAX + 1) {
        let host = host_and_port(place, socket.clone(), default_port, faults);
        if several && is_socket(&host.0) {
            let hint = "write the socket alone, or hosts of the network only";
            faults.push(fault("the url names a unix socket among several hosts", hint));
        }
        if several && !host.0.is_empty() && found.contains(&host) {
            faults.push(fault("the url names a host twice", "write each host and port once"));
        }
        found.push(host);
    }
    if found.len() > HOSTS_MAX {
        let hint = "weir tries one after the other: write those that can become the primary";
        faults.push(fault("the url names more than 16 hosts", hint));
    }
    found
}

/// Host, or the path of a socket, and port.
fn host_and_port(
    place: &str,
    socket: Option<String>,
    default_port: u16,
    faults: &mut Vec<Fault>,
) -> (String, u16) {
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(rest.strip_prefix(':').unwrap_or("?"))),
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let written = match host.to_ascii_lowercase().starts_with("%2f") {
        true => percent_decode(host).filter(|path| !path.contains('\0')),
        false => None,
    };
    let host = match (socket, written) {
        (Some(path), None) if host.is_empty() || host == "localhost" => path,
        (Some(_), _) => {
            faults.push(fault("the url names a host and a socket", "write one of them"));
            String::new()
        }
        (None, Some(path)) => path,
        (None, None) => {
            network_host(place.starts_with('['), host, faults);
            host.to_owned()
        }
    };
    let number = port.map(|port| match port.bytes().all(|byte| byte.is_ascii_digit()) {
        true => port.parse::<u16>().ok().filter(|port| *port > 0),
        false => None,
    });
    match number {
        Some(Some(port)) => (host, port),
        None => (host, default_port),
        Some(None) => {
            faults.push(fault("the url's port is not a number from 1 to 65535", FORM_HINT));
            (host, default_port)
        }
    }
}

fn network_host(bracketed: bool, host: &str, faults: &mut Vec<Fault>) {
    let well_formed = match bracketed {
        true => host.parse::<std::net::Ipv6Addr>().is_ok(),
        false => host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)),
    };
    if host.is_empty() {
        faults.push(fault("the url names no host", FORM_HINT));
    } else if !well_formed {
        faults.push(fault("the url's host is not well-formed", FORM_HINT));
    }
}

/// A percent-decoded part; `default` where it is empty, which it must not be where there is none.
fn part(text: &str, what: &str, default: Option<&String>, faults: &mut Vec<Fault>) -> String {
    if let (true, Some(default)) = (text.is_empty(), default) {
        return default.clone();
    }
    match percent_decode(text) {
        Some(decoded) if decoded.is_empty() => {
            faults.push(fault(format!("the url names no {what}"), FORM_HINT));
            String::new()
        }
        Some(decoded) if !decoded.contains('\0') => decoded,
        _ => {
            let message = format!("the url's {what} is not well-formed");
            faults.push(fault(message, "write `%` as %25 and other special characters likewise"));
            String::new()
        }
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What follows the `?`.
#[derive(Default)]
struct Options {
    tls: Option<TlsMode>,
    socket: Option<String>,
}

/// Reads the mode of TLS and the path of a socket, and refuses every other option by its name.
fn options(query: &str, faults: &mut Vec<Fault>) -> Options {
    let mut found = Options::default();
    let mut words = 0;
    for (key, value) in query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    {
        match key {
            "sslmode" | "ssl-mode" => {
                words += 1;
                found.tls = tls_word(key, value, faults);
            }
            "password" | "pass" | "passwd" | "pwd" => {
                faults.push(fault("the url holds a password", PASSWORD_HINT));
            }
            "host" | "socket" | "unix_socket" => {
                let path = percent_decode(value);
                found.socket = path.filter(|path| is_socket(path) && !path.contains('\0'));
                if found.socket.is_none() {
                    let hint =
                        "write the host before the database's name, or a path that begins with /";
                    faults.push(fault(format!("the url's `{key}` is no path of a socket"), hint));
                }
            }
            _ => faults.push(other_option(key)),
        }
    }
    if words > 1 {
        faults.push(fault("the url gives its tls mode twice", "write one of them, or `tls`"));
    }
    found
}

fn other_option(key: &str) -> Fault {
    // A text that is no option's name may be a part of a password, so it is not repeated.
    let name = match key.bytes().all(|b| b.is_ascii_lowercase() || b"-_".contains(&b)) {
        true => format!("the url has the option `{key}`, which weir does not know"),
        false => "the url has an option that weir does not know".to_owned(),
    };
    fault(name, "remove it: weir's settings are keys of their own beside the url")
}

/// Words of libpq (`sslmode`) and of the MySQL client (`ssl-mode`).
const TLS_WORDS: [(&str, &str, TlsMode); 8] = [
    ("sslmode", "disable", TlsMode::Off),
    ("sslmode", "require", TlsMode::Require),
    ("sslmode", "verify-ca", TlsMode::VerifyCa),
    ("sslmode", "verify-full", TlsMode::VerifyFull),
    ("ssl-mode", "disabled", TlsMode::Off),
    ("ssl-mode", "required", TlsMode::Require),
    ("ssl-mode", "verify_ca", TlsMode::VerifyCa),
    ("ssl-mode", "verify_identity", TlsMode::VerifyFull),
];

fn tls_word(key: &str, value: &str, faults: &mut Vec<Fault>) -> Option<TlsMode> {
    const HINT: &str =
        "write `tls` below the url: \"verify-full\", \"verify-ca\", \"require\" or \"off\"";
    let value = value.to_ascii_lowercase();
    let word = TLS_WORDS.iter().find(|(name, word, _)| *name == key && *word == value);
    if word.is_none() {
        let message = match value.as_str() {
            "allow" | "prefer" | "preferred" => {
                format!("this mode of `{key}` falls back to plain text, which weir never does")
            }
            _ => format!("the url's `{key}` has no such mode"),
        };
        faults.push(fault(message, HINT));
    }
    word.map(|word| word.2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn messages(text: &str) -> Vec<String> {
        parse(text).unwrap_err().into_iter().map(|fault| fault.message).collect()
    }

    /// Broken if weir connected to another place than the one written.
    #[test]
    fn parts_are_read_and_decoded() {
        let address = parse("mysql://we%40ir@crm-db/sales%2F1?ssl-mode=DISABLED").unwrap();
        assert_eq!(address.dialect, Dialect::Mysql);
        assert_eq!(address.hosts, [("crm-db".to_owned(), 3306)]);
        assert_eq!((address.user.as_str(), address.database.as_str()), ("we@ir", "sales/1"));
        assert_eq!(address.tls, Some(TlsMode::Off));
        let address = parse("postgresql://weir@[::1]:6000/billing").unwrap();
        assert_eq!(address.hosts, [("::1".to_owned(), 6000)]);
        assert!(is_loopback("::1") && is_loopback("127.0.0.9") && is_loopback("LOCALHOST"));
        assert!(!is_loopback("10.0.0.1") && !is_loopback("localhost.example.org"));
        assert_eq!(parse("mariadb://u@h/d").unwrap().dialect, Dialect::Mariadb);
    }

    /// Broken if a socket were taken for a host of the network, or another one were connected to.
    #[test]
    fn sockets_are_paths() {
        for (text, host, port) in [
            ("postgres://u@%2Frun%2Fpostgresql/d", "/run/postgresql", 5432),
            ("postgres://u@%2Frun%2Fpostgresql:5433/d", "/run/postgresql", 5433),
            ("postgres://u@/d?host=/run/postgresql", "/run/postgresql", 5432),
            ("postgres://u@:5433/d?host=%2Frun%2Fpg", "/run/pg", 5433),
            (
                "mysql://u@localhost/d?socket=/run/mysqld/mysqld.sock",
                "/run/mysqld/mysqld.sock",
                3306,
            ),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.hosts, [(host.to_owned(), port)], "{text}");
            assert!(is_socket(host) && is_loopback(host));
        }
    }

    /// Broken if a host of a list were left out, or tried in another order or at another port.
    #[test]
    fn several_hosts_keep_their_order() {
        let address = parse("postgres://u@db1:5433,db2,[::1]:6000/d").unwrap();
        let hosts: Vec<_> = address.hosts.iter().map(|(host, port)| (&**host, *port)).collect();
        assert_eq!(hosts, [("db1", 5433), ("db2", 5432), ("::1", 6000)]);
        let address = parse("mysql://u@db1,db2:3307/d").unwrap();
        assert_eq!(address.hosts, [("db1".to_owned(), 3306), ("db2".to_owned(), 3307)]);
    }

    /// Broken if a mode written in the words of libpq or of the MySQL client came out weaker.
    #[test]
    fn modes_are_understood_in_their_own_words() {
        for (option, mode) in [
            ("sslmode=require", TlsMode::Require),
            ("sslmode=verify-ca", TlsMode::VerifyCa),
            ("sslmode=verify-full", TlsMode::VerifyFull),
            ("ssl-mode=REQUIRED", TlsMode::Require),
            ("ssl-mode=VERIFY_CA", TlsMode::VerifyCa),
            ("ssl-mode=VERIFY_IDENTITY", TlsMode::VerifyFull),
        ] {
            let address = parse(&format!("mysql://u@h/d?{option}")).unwrap();
            assert_eq!(address.tls, Some(mode), "{option}");
        }
    }

    /// Broken if a password in an address were accepted, or shown.
    #[test]
    fn passwords_are_refused_and_never_shown() {
        for text in [
            "mysql://weir:hunter2@h/d",
            "mysql://weir:hun@ter2@h/d",
            "mysql://weir:hun/ter2@h/d",
            "mysql://weir:hun?ter2@h/d",
            "mysql://weir:hun#ter2@h:1/d?sslmode=disable",
            "postgres://weir@h/d?password=hunter2",
        ] {
            let faults = parse(text).unwrap_err();
            assert!(
                faults.iter().any(|fault| fault.message == "the url holds a password"),
                "{text}"
            );
            assert!(!format!("{faults:?}").contains("ter2"), "{faults:?}");
        }
        assert!(!format!("{:?}", messages("postgres://u@h/d?Hunter2")).contains("Hunter2"));
    }

    /// Broken if something weir cannot do were ignored instead of named.
    #[test]
    fn the_unsupported_is_named() {
        for (text, expected) in [
            ("mysql://u@a,/d", "no host"),
            ("mysql://u@a,b,a:3306/d", "a host twice"),
            ("mysql://u@a,b/d?socket=/run/sock", "a host and a socket"),
            ("postgres://u@a,%2Frun/d", "a unix socket among several hosts"),
            ("mysql://u@a,b:0/d", "port"),
            ("postgres://u@/d?host=db", "`host` is no path of a socket"),
            ("mysql://u@db/d?socket=/run/sock", "a host and a socket"),
            ("postgres://u@%2Frun/d?host=/run", "a host and a socket"),
            ("postgres://u@%2Frun%00/d", "host is not well-formed"),
            ("mysql://u@:3306/d", "no host"),
            ("mysql://u@h/d?charset=utf8", "option `charset`"),
            ("mysql://u@h/d?ssl-mode=PREFERRED", "falls back to plain text"),
            ("mysql://u@h/d?ssl-mode=verify-full", "`ssl-mode` has no such mode"),
            ("postgres://u@h/d?sslmode=prefer", "falls back to plain text"),
            ("postgres://u@h/d?sslmode=required", "`sslmode` has no such mode"),
            ("mysql://u@h/d?ssl-mode=DISABLED&sslmode=disable", "twice"),
            ("mysql://h/d", "no user"),
            ("mysql://u@h", "no database"),
            ("mysql://u@h:0/d", "port"),
            ("mysql://u@h:port/d", "port"),
            ("mysql://u@h:+1/d", "port"),
            ("mysql://u@[::1]x/d", "port"),
            ("mysql://u@ho st/d", "host"),
            ("mysql://u@h/%zz", "database is not well-formed"),
            ("mysql://u@h/%00", "database is not well-formed"),
            ("oracle://u@h/d", "scheme is not known"),
            ("u@h/d", "no scheme"),
        ] {
            let found = messages(text);
            assert!(found.iter().any(|message| message.contains(expected)), "{text}: {found:?}");
        }
        assert_eq!(messages("mysql://:x/").len(), 4, "all of it at once");
    }

    proptest! {
        /// Broken if some text made the reader fail.
        #[test]
        fn any_text_is_read(text in r"(mysql://|postgres://)?([@:/?%\[\]&=,a0]|\PC){0,60}") {
            let _ = parse(&text);
        }
    }
}
