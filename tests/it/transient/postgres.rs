//! What passes at a PostgreSQL.

use super::{ByHand, TROUBLE, Trouble};

/// Where weir writes.
pub const AT_TARGET: &[Trouble] = &[
    Trouble {
        name: "40P01, weir is the victim",
        kinds: &["contention"],
        // Whoever has waited for `deadlock_timeout` first looks for a circle.
        first: &["SET deadlock_timeout = '1min'", "BEGIN", "UPDATE {b} SET n = n WHERE id = 1"],
        then: &["UPDATE {a} SET n = n WHERE id = 1"],
        relief: &["ROLLBACK", "RESET deadlock_timeout"],
        ..TROUBLE
    },
    Trouble {
        name: "55P03, a row is locked",
        kinds: &["contention"],
        first: &["BEGIN", "SELECT n FROM {a} WHERE id = 1 FOR UPDATE"],
        relief: &["ROLLBACK"],
        ..TROUBLE
    },
    Trouble {
        name: "40001, a row moves to another partition",
        kinds: &["contention"],
        first: &["BEGIN", "UPDATE {parted} SET part = 2 WHERE id = 1"],
        then: &["COMMIT"],
        relief: &["DELETE FROM {parted} WHERE part = 2"],
        ..TROUBLE
    },
    Trouble {
        name: "57014, the statement is cancelled",
        kinds: &["timeout"],
        first: &["BEGIN", "SELECT n FROM {a} WHERE id = 1 FOR UPDATE"],
        then: &["SELECT pg_cancel_backend({weir})"],
        relief: &["ROLLBACK"],
        ..TROUBLE
    },
    Trouble {
        name: "57P01, the session is ended while it works",
        kinds: &["unavailable", "connection"],
        first: &["BEGIN", "SELECT n FROM {a} WHERE id = 1 FOR UPDATE"],
        then: &["SELECT pg_terminate_backend({weir})"],
        relief: &["ROLLBACK"],
        ..TROUBLE
    },
    Trouble {
        name: "57P01, the session is ended while it waits for work",
        kinds: &["unavailable", "connection"],
        by_hand: ByHand::EndSessions,
        ..TROUBLE
    },
    Trouble {
        name: "53300, no connection is left",
        kinds: &["too_many_connections"],
        first: &["ALTER ROLE weir_writer CONNECTION LIMIT 0"],
        relief: &["ALTER ROLE weir_writer CONNECTION LIMIT -1"],
        by_hand: ByHand::EndSessions,
        ..TROUBLE
    },
    Trouble {
        name: "25006, the server takes no writes",
        kinds: &["read_only"],
        first: &["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"],
        relief: &["ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"],
        ..TROUBLE
    },
    Trouble {
        name: "53100, the disk is full",
        kinds: &["disk_full"],
        by_hand: ByHand::FillDisk,
        ..TROUBLE
    },
    Trouble {
        name: "53200, the lock table is full",
        kinds: &["unavailable"],
        // It ends with the very error, and keeps the locks that it has.
        first: &["SELECT count(pg_advisory_lock(i)) FROM generate_series(1, 1000000) i"],
        relief: &["SELECT pg_advisory_unlock_all()"],
        ..TROUBLE
    },
    Trouble {
        name: "57P03, stopped",
        kinds: &["unavailable", "connection"],
        by_hand: ByHand::Stop,
        ..TROUBLE
    },
    Trouble {
        name: "57P02, stopped at once",
        kinds: &["unavailable", "connection"],
        by_hand: ByHand::Kill,
        ..TROUBLE
    },
];

/// Where weir reads.
pub const AT_SOURCE: &[Trouble] = &[
    Trouble {
        name: "57P01, all sessions are ended",
        kinds: &["unavailable", "connection"],
        by_hand: ByHand::EndSessions,
        ..TROUBLE
    },
    Trouble {
        name: "57014, the stream is cancelled",
        kinds: &["timeout"],
        first: &["SELECT pg_cancel_backend(active_pid) FROM pg_replication_slots WHERE active"],
        ..TROUBLE
    },
    Trouble {
        name: "53300, no connection is left",
        kinds: &["too_many_connections"],
        first: &["ALTER ROLE weir_reader CONNECTION LIMIT 0"],
        relief: &["ALTER ROLE weir_reader CONNECTION LIMIT -1"],
        by_hand: ByHand::EndSessions,
        ..TROUBLE
    },
    Trouble {
        name: "55006, the slot is held by the connection before",
        kinds: &["source_busy"],
        by_hand: ByHand::HoldSlot,
        ..TROUBLE
    },
    Trouble {
        name: "57P03, stopped",
        kinds: &["unavailable", "connection"],
        by_hand: ByHand::Stop,
        ..TROUBLE
    },
    Trouble {
        name: "57P02, stopped at once",
        kinds: &["unavailable", "connection"],
        by_hand: ByHand::Kill,
        ..TROUBLE
    },
];
