//! What passes at a MySQL or MariaDB.

use super::{ByHand, TROUBLE, Trouble};

/// What MariaDB does not have, does not set while it runs, or (a full tablespace that holds its undo log
/// too) does not survive.
pub const MYSQL_ONLY: &[&str] = &[SUPER_READ_ONLY, SCHEMA_READ_ONLY, OFFLINE, USER_LIMIT, FULL];
const FULL: &str = "1114, the tablespace is full";
const SUPER_READ_ONLY: &str = "1290, super_read_only";
const SCHEMA_READ_ONLY: &str = "3989, the schema takes no writes";
const OFFLINE: &str = "3032, offline mode";
const USER_LIMIT: &str = "1203, the user has no connection left";

/// Where weir writes.
pub const AT_TARGET: &[Trouble] = &[
    Trouble {
        name: "1213, weir is the victim",
        kinds: &["contention"],
        // It is who has changed less.
        first: &[
            "START TRANSACTION",
            "UPDATE {space}.filler SET n = n + 1",
            "UPDATE {b} SET n = n + 1 WHERE id = 1",
        ],
        then: &["UPDATE {a} SET n = n + 1 WHERE id = 1"],
        relief: &["ROLLBACK"],
        ..TROUBLE
    },
    Trouble {
        name: "1205, a row is locked",
        kinds: &["contention"],
        first: &["START TRANSACTION", "SELECT n FROM {a} WHERE id = 1 FOR UPDATE"],
        relief: &["ROLLBACK"],
        ..TROUBLE
    },
    Trouble {
        name: "1205, a table is locked",
        kinds: &["contention"],
        first: &["LOCK TABLES {a} WRITE"],
        relief: &["UNLOCK TABLES"],
        ..TROUBLE
    },
    Trouble {
        name: "1317, the statement is killed",
        kinds: &["unavailable"],
        first: &["START TRANSACTION", "SELECT n FROM {a} WHERE id = 1 FOR UPDATE"],
        then: &["KILL QUERY {weir}"],
        relief: &["ROLLBACK"],
        ..TROUBLE
    },
    Trouble {
        name: "1927, the session is killed while it works",
        kinds: &["connection", "unavailable"],
        first: &["START TRANSACTION", "SELECT n FROM {a} WHERE id = 1 FOR UPDATE"],
        then: &["KILL {weir}"],
        relief: &["ROLLBACK"],
        ..TROUBLE
    },
    Trouble {
        name: "the session is killed while it waits for work",
        kinds: &["connection", "unavailable"],
        by_hand: ByHand::EndSessions,
        ..TROUBLE
    },
    Trouble {
        name: "1040, no connection is left",
        kinds: &["too_many_connections"],
        first: &["SET GLOBAL max_connections = 10"],
        relief: &["SET GLOBAL max_connections = 151"],
        by_hand: ByHand::HoldLogins,
        ..TROUBLE
    },
    Trouble {
        name: USER_LIMIT,
        kinds: &["too_many_connections"],
        first: &["SET GLOBAL max_user_connections = 4"],
        relief: &["SET GLOBAL max_user_connections = 0"],
        by_hand: ByHand::HoldLogins,
        ..TROUBLE
    },
    Trouble {
        name: "1226, the account has no connection left",
        kinds: &["too_many_connections"],
        first: &["ALTER USER weir_writer WITH MAX_USER_CONNECTIONS 3"],
        relief: &["ALTER USER weir_writer WITH MAX_USER_CONNECTIONS 0"],
        by_hand: ByHand::HoldLogins,
        ..TROUBLE
    },
    Trouble {
        name: "1290, read_only",
        kinds: &["read_only"],
        first: &["SET GLOBAL read_only = ON"],
        relief: &["SET GLOBAL read_only = OFF"],
        ..TROUBLE
    },
    Trouble {
        name: SUPER_READ_ONLY,
        kinds: &["read_only"],
        first: &["SET GLOBAL super_read_only = ON"],
        relief: &["SET GLOBAL super_read_only = OFF", "SET GLOBAL read_only = OFF"],
        ..TROUBLE
    },
    Trouble {
        name: "1792, transactions are read only",
        kinds: &["read_only"],
        first: &["SET GLOBAL TRANSACTION READ ONLY"],
        relief: &["SET GLOBAL TRANSACTION READ WRITE"],
        by_hand: ByHand::EndSessions,
        ..TROUBLE
    },
    Trouble {
        name: SCHEMA_READ_ONLY,
        kinds: &["read_only"],
        first: &["ALTER SCHEMA {space} READ ONLY = 1"],
        relief: &["ALTER SCHEMA {space} READ ONLY = 0"],
        ..TROUBLE
    },
    Trouble {
        name: OFFLINE,
        kinds: &["unavailable"],
        first: &["SET GLOBAL offline_mode = ON"],
        relief: &["SET GLOBAL offline_mode = OFF"],
        ..TROUBLE
    },
    Trouble { name: FULL, kinds: &["disk_full"], by_hand: ByHand::FillDisk, ..TROUBLE },
    Trouble {
        name: "1053, stopped",
        kinds: &["connection", "unavailable"],
        by_hand: ByHand::Stop,
        ..TROUBLE
    },
    Trouble {
        name: "killed",
        kinds: &["connection", "unavailable"],
        by_hand: ByHand::Kill,
        ..TROUBLE
    },
];

/// Where weir reads. That it is stopped is in `crash`.
pub const AT_SOURCE: &[Trouble] = &[
    Trouble {
        name: "the dump and all sessions are killed",
        kinds: &["connection", "unavailable"],
        by_hand: ByHand::EndSessions,
        ..TROUBLE
    },
    Trouble {
        name: "1040, no connection is left",
        kinds: &["too_many_connections"],
        first: &["SET GLOBAL max_connections = 10"],
        relief: &["SET GLOBAL max_connections = 151"],
        by_hand: ByHand::HoldLogins,
        ..TROUBLE
    },
    Trouble {
        name: USER_LIMIT,
        kinds: &["too_many_connections"],
        first: &["SET GLOBAL max_user_connections = 4"],
        relief: &["SET GLOBAL max_user_connections = 0"],
        by_hand: ByHand::HoldLogins,
        ..TROUBLE
    },
    Trouble {
        name: OFFLINE,
        kinds: &["unavailable"],
        first: &["SET GLOBAL offline_mode = ON"],
        relief: &["SET GLOBAL offline_mode = OFF"],
        ..TROUBLE
    },
    Trouble {
        name: "killed",
        kinds: &["connection", "unavailable"],
        by_hand: ByHand::Kill,
        ..TROUBLE
    },
];
