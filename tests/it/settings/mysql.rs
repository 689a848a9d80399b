//! What can be wrong with a MySQL or MariaDB server, and what `weir check` says of it.

use super::{Wrong, by_hand, refused, warned};

pub(super) const MYSQL_SOURCE: &[Wrong] = &[
    refused(&["SET GLOBAL binlog_format = 'STATEMENT'"], &["binlog_format is STATEMENT"]),
    refused(&["SET GLOBAL binlog_row_metadata = 'MINIMAL'"], &["binlog_row_metadata is MINIMAL"]),
    warned(&["SET GLOBAL binlog_row_image = 'MINIMAL'"], &["binlog_row_image is MINIMAL"]),
    refused(&["SET GLOBAL binlog_expire_logs_seconds = 3600"], &["logs are kept for 1.0 h"]),
    warned(&["SET GLOBAL sync_binlog = 0"], &["sync_binlog is not 1"]),
    Wrong {
        file: &[("binlog_ignore_db", "s", "")],
        restart: true,
        ..refused(&[], &["database s is kept out of the binary log"])
    },
    Wrong {
        others: 7,
        ..refused(&["SET GLOBAL max_connections = 10"], &["max_connections is 10: others have 7"])
    },
    refused(
        &["ALTER USER weir_reader WITH MAX_USER_CONNECTIONS 3"],
        &["max_user_connections of the account is 3"],
    ),
];

/// What only MariaDB has, or MySQL has another way.
pub(super) const ONLY_MARIADB_SOURCE: &[Wrong] = &[
    Wrong {
        file: &[("log_bin", "", "binlog")],
        restart: true,
        ..refused(&[], &["log_bin is OFF"])
    },
    // A replica by its settings; there is nothing that it could apply.
    Wrong {
        file: &[("log_slave_updates", "", "ON")],
        restart: true,
        ..refused(
            &["CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1"],
            &["the server is a replica and log_slave_updates is OFF"],
        )
    },
];

/// What only MySQL has.
pub(super) const ONLY_MYSQL_SOURCE: &[Wrong] = &[
    refused(&["SET GLOBAL server_id = 0"], &["server_id is 0"]),
    warned(
        &[
            "SET GLOBAL gtid_mode = ON_PERMISSIVE",
            "SET GLOBAL gtid_mode = OFF_PERMISSIVE",
            "SET GLOBAL gtid_mode = OFF",
            "SET GLOBAL enforce_gtid_consistency = OFF",
        ],
        &["gtid_mode is OFF"],
    ),
    // A replica by its settings; there is nothing that it could apply.
    Wrong {
        restart: true,
        ..refused(
            &[
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = 1",
                "SET PERSIST_ONLY log_replica_updates = OFF",
            ],
            &["the server is a replica and log_replica_updates is OFF"],
        )
    },
];

pub(super) const MYSQL_TARGET: &[Wrong] = &[
    refused(&["SET GLOBAL read_only = ON"], &["the server is read-only"]),
    refused(&["SET GLOBAL binlog_format = 'STATEMENT'"], &["binlog_format is STATEMENT"]),
    warned(
        &["SET GLOBAL innodb_flush_log_at_trx_commit = 2"],
        &["innodb_flush_log_at_trx_commit is not 1"],
    ),
    warned(&["SET GLOBAL sync_binlog = 0"], &["sync_binlog is not 1"]),
    warned(&["SET GLOBAL max_allowed_packet = 1048576"], &["max_allowed_packet is 1048576"]),
    Wrong {
        others: 8,
        ..refused(&["SET GLOBAL max_connections = 10"], &["max_connections is 10: others have 8"])
    },
    refused(
        &["ALTER USER weir_writer WITH MAX_USER_CONNECTIONS 2"],
        &["max_user_connections of the account is 2"],
    ),
    by_hand(
        &["DROP TABLE app.notes"],
        warned(
            &[
                "CREATE TABLE app.notes (a INT, CONSTRAINT noted FOREIGN KEY (a) REFERENCES s.t (id) \
               ON DELETE CASCADE)",
            ],
            &["foreign key noted of app.notes, which the link does not write"],
        ),
    ),
    refused(&["ALTER TABLE s.t ENGINE = MyISAM"], &["is not transactional"]),
    refused(&["ALTER TABLE s.t DROP PRIMARY KEY"], &["no unique index of the target table"]),
];

/// What only MySQL has.
pub(super) const ONLY_MYSQL_TARGET: &[Wrong] =
    &[refused(&["SET GLOBAL super_read_only = ON"], &["the server is read-only"])];

/// What MariaDB shows to the user who writes.
pub(super) const ONLY_MARIADB_TARGET: &[Wrong] = &[by_hand(
    &["DROP TRIGGER s.loud"],
    warned(
        &["CREATE TRIGGER s.loud BEFORE INSERT ON s.t FOR EACH ROW SET NEW.a = 'x'"],
        &["triggers fire on what weir writes: loud"],
    ),
)];
