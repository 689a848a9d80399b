//! What an error of a MySQL or MariaDB server, or of the connection to it, means for weir: one
//! table from error number to [`Kind`].
//!
//! Server messages of refused rows hold row values ("Duplicate entry 'x'"). For those kinds the
//! cause that is attached names number, SQLSTATE and the index, constraint or column, and the
//! server's own words go to the log at debug level only. Numbers that are not in the table are
//! `Statement`: the link halts with the server's message.
//! Sources: MySQL "Server Error Message Reference"; MariaDB "Error Codes".

use std::fmt;

use mysql_async::{DriverError, ServerError};

use crate::error::{Error, Kind};

/// Turns a library error into weir's; `context` says what was being done.
pub fn classify(error: mysql_async::Error, context: impl Into<String>) -> Error {
    match error {
        mysql_async::Error::Server(server) => classify_server(server, context.into()),
        mysql_async::Error::Io(io) => Error::new(Kind::Connection, context).caused_by(io),
        mysql_async::Error::Driver(driver) => {
            let kind = kind_of_driver(&driver);
            Error::new(kind, context).caused_by(driver)
        }
        other => Error::new(Kind::Internal, context).caused_by(other),
    }
}

/// A server's refusal without its words, which may hold row values.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The server's error number.
    pub code: u16,
    /// SQLSTATE.
    pub state: String,
    /// The index, constraint or column named in the message, if one was found.
    pub object: Option<String>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(reason) = reason(self.code) {
            write!(f, "{reason}, ")?;
        }
        write!(f, "server error {} ({})", self.code, self.state)?;
        match &self.object {
            Some(object) => write!(f, " on `{object}`"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refused {}

/// The reason code of a refused row (type-mapping §4.5), where the error has one of its own.
const fn reason(code: u16) -> Option<&'static str> {
    match code {
        1062 | 1586 => Some("unique_collision"),
        1216 | 1217 | 1451 | 1452 => Some("fk_violation"),
        1048 => Some("null_not_allowed"),
        3819 | 4025 => Some("check_violation"),
        _ => None,
    }
}

/// The next step where more is known than the kind.
fn hint_of(server: &ServerError) -> Option<&'static str> {
    match server.code {
        1129 => Some(BLOCKED_HINT),
        3100 => Some(GROUP_HINT),
        3955 | 4150 => Some(LOCKED_OUT_HINT),
        4052 => Some(RIVAL_HINT),
        1236 if server.message.contains("same server") => Some(RIVAL_HINT),
        1236 => withheld_hint(&server.message),
        _ => None,
    }
}

/// The way on where the server sends by place only what its `gtid_mode` of now lets be, whatever it was
/// when that was written.
fn withheld_hint(message: &str) -> Option<&'static str> {
    let says = |phrase: &str| message.contains(phrase);
    if says("anonymous transaction") && says("GTID_MODE = ON") {
        Some(ANONYMOUS_HINT)
    } else if says("GTID-transaction") && says("GTID_MODE = OFF") {
        Some(NAMED_HINT)
    } else {
        None
    }
}

const ANONYMOUS_HINT: &str = "the log holds transactions from a time when gtid_mode was not ON: set it \
    to ON_PERMISSIVE until weir has read them, and what was prepared then (XA) is decided, then to ON \
    again";
const NAMED_HINT: &str = "the log holds transactions from a time when gtid_mode was not OFF: set it to \
    OFF_PERMISSIVE until weir has read them, and what was prepared then (XA) is decided, then to OFF \
    again";

const BLOCKED_HINT: &str = "the server refuses this machine after too many broken connections (of \
    any client here): run FLUSH HOSTS there, or TRUNCATE performance_schema.host_cache, and raise \
    max_connect_errors; weir tries again by itself";
const GROUP_HINT: &str = "the group did not take the transaction: this member is not online, or the \
    transaction is larger than group_replication_transaction_size_limit; weir tries again by itself";
const LOCKED_OUT_HINT: &str = "the server locks weir's user out after too many wrong passwords: correct \
    the password and unlock the user there (ALTER USER … ACCOUNT UNLOCK, or FLUSH PRIVILEGES)";

/// The server ends the older of two readers with one identity; if both came back, they would end
/// each other in turns.
const RIVAL_HINT: &str = "another reader came with weir's own server id: most likely a second weir \
    with a copied `state_dir` or the same `server_id`. Stop one of the two, or give it its own empty \
    `state_dir` and `server_id`; then start weir again";

fn classify_server(server: ServerError, context: String) -> Error {
    let kind = kind_of(&server);
    let error = Error::new(kind, context);
    if error.is_about_a_row() {
        tracing::debug!(code = server.code, message = %server.message, "the server refused a row");
        let refused =
            Refused { code: server.code, object: object_of(&server), state: server.state };
        return error.caused_by(refused);
    }
    let hint = hint_of(&server);
    let error = error.caused_by(server);
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn kind_of_driver(error: &DriverError) -> Kind {
    match error {
        DriverError::ConnectionClosed | DriverError::PoolDisconnected => Kind::Connection,
        DriverError::PacketTooLarge => Kind::TooLarge,
        DriverError::UnknownAuthPlugin { .. }
        | DriverError::MysqlOldPasswordDisabled
        | DriverError::CleartextPluginDisabled
        | DriverError::InvalidParsecSalt => Kind::UnsupportedLogin,
        DriverError::NoClientSslFlagFromServer => Kind::Transport,
        DriverError::PacketOutOfOrder
        | DriverError::UnexpectedPacket { .. }
        | DriverError::BadCompressedPacketHeader
        | DriverError::CantParseServerVersion { .. } => Kind::Malformed,
        _ => Kind::Internal,
    }
}

/// The table. Numbers below 4000 are shared by both servers unless said otherwise.
fn kind_of(error: &ServerError) -> Kind {
    match error.code {
        // login
        1045 | 1698 | 1130 | 1820 | 1862 | 3118 | 3955 | 4150 | 4151 => Kind::Authentication,
        1251 | 1275 | 1524 | 3890 => Kind::UnsupportedLogin,
        3159 => Kind::Transport,
        1044 | 1142 | 1143 | 1227 | 1370 | 1410 | 3879 => Kind::Privilege,
        1040 | 1203 | 1226 | 1461 | 1637 => Kind::TooManyConnections,
        // the disk: a number of its own, or that of the system within another
        20 | 1021 | 1114 | 1878 | 3019 | 3675 => Kind::DiskFull,
        3 | 1026 | 1030 | 1180 | 1598 if has_no_space(&error.message) => Kind::DiskFull,
        // the server as a whole
        5 | 23 | 1037 | 1041 | 1135 | 3015 | 3044 | 3884 | 3950 | 4081 => Kind::Unavailable,
        1047 | 1053 | 1077..=1079 | 1129 | 1180 | 1181 | 1317 | 1598 => Kind::Unavailable,
        3032 | 3100 | 3168 | 3169 | 3781..=3783 | 3796..=3799 => Kind::Unavailable,
        // the connection
        1080 | 1152 | 1154..=1161 | 1184 | 1927 | 2006 | 2013 | 2055 | 4031 => Kind::Connection,
        1969 | 3024 => Kind::Timeout,
        // the statement may pass later
        1205 | 1206 | 1213 | 1020 | 1297 | 1412 | 1614 | 1615 | 1689 | 1964 | 3058 | 3101
        | 3572 => Kind::Contention,
        1290 => kind_of_option(&error.message),
        1036 | 1792 | 1836 | 1874 | 3989 => Kind::ReadOnly,
        1153 | 1197 | 1705 => Kind::TooLarge,
        // the row
        1216 | 1217 | 1451 | 1452 => Kind::ForeignKey,
        1022 | 1048 | 1062 | 1169 | 1263 | 1364 | 1557 | 1569 | 1586 | 1644 | 1761 | 1762
        | 3819 | 4025 => Kind::Constraint,
        1118 | 1264 | 1265 | 1292 | 1300 | 1366 | 1367 | 1406 | 1411 | 1416 | 1426 | 1441
        | 1525 | 1690 | 3140 | 3141 | 3156 | 3751 | 3903 | 4038 => Kind::Value,
        // what the plan relied on is not there
        1049 | 1051 | 1054 | 1109 | 1136 | 1146 => Kind::Mapping,
        1231 | 1193 => Kind::Setting,
        // the log
        1236 => kind_of_dump_refusal(&error.message),
        4052 => Kind::Setting,
        _ => kind_of_class(&error.state),
    }
}

/// What a number that is not in the table may be, by its SQLSTATE.
fn kind_of_class(state: &str) -> Kind {
    match state.get(..2).unwrap_or_default() {
        "08" => Kind::Connection,
        "40" => Kind::Contention,
        _ => Kind::Statement,
    }
}

/// Error 1290 names the option that forbids a statement: one that a failover sets, one that a provider
/// sets as the disk fills, or one of another kind.
fn kind_of_option(message: &str) -> Kind {
    let says = |phrase: &str| message.contains(phrase);
    match () {
        () if says("read-only") || says("read_only") => Kind::ReadOnly,
        () if says("LOCK_WRITE_GROWTH") => Kind::DiskFull,
        () => Kind::Statement,
    }
}

/// Whether a message tells of the system's error for a full disk (28, ENOSPC) or a used up quota.
fn has_no_space(message: &str) -> bool {
    const PHRASES: [&str; 3] = ["No space left", "quota exceeded", "disk is full"];
    let words: Vec<&str> = message
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    PHRASES.iter().any(|phrase| message.contains(phrase))
        || words.windows(2).any(|pair| matches!(pair, ["error" | "errno", "28"]))
}

/// Error 1236 is one number for every reason a dump thread has to stop.
fn kind_of_dump_refusal(message: &str) -> Kind {
    let says = |phrase: &str| message.contains(phrase);
    let same = says("same server_uuid") || says("same server_id");
    if same || withheld_hint(message).is_some() || says("max_allowed_packet") {
        Kind::Setting
    } else if says("memory allocation failed") || says("I/O error") || says("AUTO_POSITION") {
        Kind::Unavailable
    } else if says("has more GTIDs") || says("diverged") || says("not in the master's binlog") {
        Kind::Identity
    } else {
        Kind::Gap
    }
}

/// Whether a dump by GTID came to a transaction that has none.
pub(crate) fn is_about_anonymous(error: &Error) -> bool {
    let server = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    server.is_some_and(|server: &ServerError| {
        let message = server.message.to_lowercase();
        server.code == 1236
            && message.contains("anonymous transaction")
            && message.contains("auto_position")
    })
}

/// The object a refusal is about, taken from fixed places of the message that come after any
/// value, or where the message holds no value.
fn object_of(error: &ServerError) -> Option<String> {
    let message = error.message.as_str();
    let after = |marker: &str, end: char| {
        let start = message.rfind(marker)? + marker.len();
        let rest = message.get(start..)?;
        rest.get(..rest.find(end)?).map(str::to_owned)
    };
    match error.code {
        1022 | 1062 | 1586 => after("for key '", '\''),
        1451 | 1452 | 4025 => after("CONSTRAINT `", '`'),
        3819 => after("constraint '", '\''),
        1048 => after("Column '", '\''),
        1364 => after("Field '", '\''),
        1264 | 1265 | 1292 | 1366 | 1406 => after("for column '", '\'')
            .or_else(|| after("Data truncated for column '", '\''))
            .or_else(|| after("for column ", ' ')),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Disposition;

    fn server(code: u16, message: &str) -> mysql_async::Error {
        let (message, state) = (message.to_owned(), "HY000".to_owned());
        mysql_async::Error::Server(ServerError { code, message, state })
    }

    /// Broken if a passing trouble halted a link, or a lasting one were retried for ever.
    #[test]
    fn numbers_decide_what_happens_next() {
        let kind = |code, message| classify(server(code, message), "test").kind();
        assert_eq!(kind(1045, "Access denied"), Kind::Authentication);
        assert_eq!(kind(1213, "Deadlock found"), Kind::Contention);
        assert_eq!(kind(1615, "Prepared statement needs to be re-prepared"), Kind::Contention);
        assert_eq!(kind(3101, "Plugin instructed the server to rollback"), Kind::Contention);
        assert_eq!(kind(1461, "max_prepared_stmt_count"), Kind::TooManyConnections);
        assert_eq!(kind(1118, "Row size too large (> 8126)"), Kind::Value);
        assert_eq!(kind(1451, "Cannot delete or update a parent row"), Kind::ForeignKey);
        assert_eq!(kind(1062, "Duplicate entry"), Kind::Constraint);
        assert_eq!(kind(1290, "running with the --read-only option"), Kind::ReadOnly);
        assert_eq!(kind(1290, "running with the --secure-file-priv option"), Kind::Statement);
        assert_eq!(kind(1053, "Server shutdown in progress"), Kind::Unavailable);
        assert_eq!(kind(3170, "Memory capacity of 8388608 bytes exceeded"), Kind::Statement);
        assert_eq!(kind(1236, "the source purged required binary logs"), Kind::Gap);
        assert_eq!(kind(1236, "A replica with the same server_uuid/server_id"), Kind::Setting);
        assert_eq!(kind(1236, "memory allocation failed reading log event"), Kind::Unavailable);
        assert_eq!(kind(1236, "Slave has more GTIDs than the master has"), Kind::Identity);
        let off = "Cannot replicate GTID-transaction when @@GLOBAL.GTID_MODE = OFF, at file ./b.1";
        assert_eq!(kind(1236, off), Kind::Setting);
        assert_eq!(
            kind(1236, "cannot start in AUTO_POSITION mode: this server has GTID_MODE = OFF"),
            Kind::Unavailable
        );
        assert_eq!(kind(1142, "SELECT command denied"), Kind::Privilege);
        assert_eq!(kind(9999, "new"), Kind::Statement);
        for (state, kind) in [("08S01", Kind::Connection), ("40000", Kind::Contention)] {
            let error = ServerError { code: 9999, message: String::new(), state: state.to_owned() };
            assert_eq!(kind_of(&error), kind, "{state}");
        }
        let closed = mysql_async::Error::Driver(DriverError::ConnectionClosed);
        assert_eq!(classify(closed, "test").disposition(), Disposition::Retry);
    }

    /// Broken if a number of one of the servers' many troubles that pass halted a link.
    #[test]
    fn troubles_that_pass_are_retried() {
        for (code, message) in [
            (1021, "Disk full (/tmp/#sql); waiting for someone to free some space..."),
            (1037, "Out of memory; restart server and try again (needed 65 bytes)"),
            (1047, "WSREP has not yet prepared node for application use"),
            (1077, "Normal shutdown"),
            (1078, "Got signal 15. Aborting!"),
            (1079, "Shutdown complete"),
            (1129, "Host 'a' is blocked because of many connection errors"),
            (1180, "Got error 5 \"Input/output error\" during COMMIT"),
            (1181, "Got error 5 during ROLLBACK"),
            (1317, "Query execution was interrupted"),
            (1598, "Binary logging not possible. Message: Server is being stopped"),
            (1689, "Wait on a lock was aborted due to a pending exclusive lock"),
            (1927, "Connection was killed"),
            (1969, "Query execution was interrupted (max_statement_time exceeded)"),
            (3024, "maximum statement execution time exceeded"),
            (3032, "The server is currently in offline mode"),
            (3100, "Error on observer while running replication hook 'before_commit'."),
            (3168, "Server isn't available"),
            (3169, "Session was killed"),
            (3781, "Timeout exceeded for held statement"),
            (3989, "Schema 'a' is in read only mode."),
            (4031, "The client was disconnected by the server because of inactivity"),
        ] {
            let error = classify(server(code, message), "test");
            assert_eq!(error.disposition(), Disposition::Retry, "{code}");
        }
    }

    /// Broken if a full disk that is told of by the system's number halted a link, or another number
    /// that has the same digits did not.
    #[test]
    fn a_full_disk_is_known_by_the_systems_number() {
        let kind = |code, message| classify(server(code, message), "test").kind();
        for (code, message) in [
            (1030, "Got error 28 from storage engine"),
            (1030, "Got error 28 - 'No space left on device' from storage engine"),
            (1030, "Got error 28 \"No space left on device\" from storage engine InnoDB"),
            (1026, "Error writing file '/t/ML1' (OS errno 28 - No space left on device)"),
            (1026, "Error writing file '/t/ML1' (errno: 28 \"No space left on device\")"),
            (1180, "Got error 28 \"No space left on device\" during COMMIT"),
            (1290, "running with the LOCK_WRITE_GROWTH option so it cannot execute"),
        ] {
            assert_eq!(kind(code, message), Kind::DiskFull, "{message}");
        }
        for message in
            ["Got error 1 from storage engine", "Got error 128 from storage engine", "error of t28"]
        {
            assert_eq!(kind(1030, message), Kind::Statement, "{message}");
        }
    }

    /// Broken if a row value got into a log line, or the name of what refused it were lost.
    #[test]
    fn values_stay_out_of_messages() {
        for (code, message, object) in [
            (1062, "Duplicate entry 'for key 'x' for key 't.mail'", "t.mail"),
            (1452, "a foreign key constraint fails (`a`.`c`, CONSTRAINT `c_p` FOREIGN KEY", "c_p"),
            (1366, "Incorrect string value: '\\xF0 secret' for column 'name' at row 1", "name"),
            (
                1366,
                "Incorrect integer value: 'secret' for column `a`.`t`.`n` at row 1",
                "`a`.`t`.`n`",
            ),
            (1048, "Column 'c' cannot be null", "c"),
            (4025, "CONSTRAINT `t.positive` failed for `a`.`t`", "t.positive"),
        ] {
            let chain = classify(server(code, message), "upsert").chain();
            assert!(chain.contains(object), "{chain}");
            assert!(!chain.contains("secret") && !chain.contains("entry"), "{chain}");
        }
    }
}
