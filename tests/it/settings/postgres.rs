//! What can be wrong with a PostgreSQL server, and what `weir check` says of it.

use super::{Wrong, by_hand, refused, set_up_again, warned};

pub(super) const RELOAD: &str = "SELECT pg_reload_conf()";

pub(super) const POSTGRES_SOURCE: &[Wrong] = &[
    refused(
        &["ALTER SYSTEM SET max_slot_wal_keep_size = -1", RELOAD],
        &["max_slot_wal_keep_size is -1"],
    ),
    refused(
        &["ALTER SYSTEM SET idle_replication_slot_timeout = '1h'", RELOAD],
        &["idle_replication_slot_timeout is 60 min"],
    ),
    refused(
        &["ALTER SYSTEM SET transaction_timeout = '1min'", RELOAD],
        &["transaction_timeout is set"],
    ),
    warned(
        &["ALTER SYSTEM SET logical_decoding_work_mem = '1MB'", RELOAD],
        &["logical_decoding_work_mem is low"],
    ),
    warned(&["ALTER SYSTEM SET fsync = off", RELOAD], &["fsync is off"]),
    warned(
        &["REVOKE EXECUTE ON FUNCTION \
           pg_logical_emit_message(boolean, text, text, boolean) FROM PUBLIC"],
        &["role weir_reader may not write heartbeats"],
    ),
    refused(&["ALTER ROLE weir_reader NOREPLICATION"], &["may not replicate"]),
    refused(&["ALTER ROLE weir_reader CONNECTION LIMIT 3"], &["role's connection limit is 3"]),
    refused(&["ALTER DATABASE app CONNECTION LIMIT 3"], &["database's connection limit is 3"]),
    refused(&["ALTER TABLE s.t ENABLE ROW LEVEL SECURITY"], &["row security hides rows"]),
    refused(&["ALTER TABLE s.t REPLICA IDENTITY NOTHING"], &["not in the before image"]),
    warned(
        &["SELECT pg_create_logical_replication_slot('weir_settings_a_b', 'pgoutput')"],
        &["weir_settings_a_b: no link of this configuration has it"],
    ),
    set_up_again(refused(&["DROP PUBLICATION weir_settings_left_right"], &["it does not exist"])),
    set_up_again(refused(
        &["ALTER PUBLICATION weir_settings_left_right SET (publish = 'insert, delete')"],
        &["does not publish all of insert, update, delete, truncate"],
    )),
    set_up_again(refused(
        &["ALTER PUBLICATION weir_settings_left_right SET (publish_via_partition_root = true)"],
        &["it publishes partitions as their root"],
    )),
    set_up_again(refused(
        &["ALTER PUBLICATION weir_settings_left_right SET TABLE s.t WHERE (id > 0)"],
        &["it holds s.t with a row filter or column list"],
    )),
    set_up_again(refused(
        &["ALTER PUBLICATION weir_settings_left_right DROP TABLE s.t"],
        &["it does not hold s.t"],
    )),
    set_up_again(warned(
        &[
            "CREATE TABLE public.extra (id INT PRIMARY KEY)",
            "ALTER PUBLICATION weir_settings_left_right ADD TABLE public.extra",
        ],
        &["it holds tables that are not planned: public.extra"],
    )),
    set_up_again(Wrong {
        by_hand: &["DROP PUBLICATION weir_settings_left_right"],
        ..warned(
            &[
                "DROP PUBLICATION weir_settings_left_right",
                "CREATE PUBLICATION weir_settings_left_right FOR ALL TABLES",
            ],
            &["it holds all tables"],
        )
    }),
    Wrong {
        restart: true,
        ..refused(
            &[
                "ALTER SYSTEM SET wal_level = 'replica'",
                "ALTER SYSTEM SET max_replication_slots = 0",
                "ALTER SYSTEM SET max_wal_senders = 0",
                "ALTER SYSTEM SET max_connections = 8",
                "ALTER SYSTEM SET superuser_reserved_connections = 5",
            ],
            &[
                "wal_level is replica",
                "max_replication_slots is 0",
                "max_wal_senders is 0",
                "max_connections leaves 3",
            ],
        )
    },
];

/// Of a link that has begun.
pub(super) const POSTGRES_BEGUN: &[Wrong] = &[warned(
    &[
        "ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'",
        RELOAD,
        "SELECT pg_logical_emit_message(false, 'm', 'x'), pg_switch_wal()",
        "SELECT pg_logical_emit_message(false, 'm', 'x'), pg_switch_wal()",
        "SELECT pg_logical_emit_message(false, 'm', 'x'), pg_switch_wal()",
    ],
    &["the server may give up the log it needs at any time"],
)];

pub(super) const POSTGRES_TARGET: &[Wrong] = &[
    warned(&["ALTER SYSTEM SET fsync = off", RELOAD], &["fsync is off"]),
    warned(&["ALTER SYSTEM SET full_page_writes = off", RELOAD], &["full_page_writes is off"]),
    refused(
        &["ALTER SYSTEM SET transaction_timeout = '1min'", RELOAD],
        &["transaction_timeout is set"],
    ),
    refused(&["ALTER ROLE weir_writer CONNECTION LIMIT 2"], &["role's connection limit is 2"]),
    refused(&["ALTER DATABASE app CONNECTION LIMIT 2"], &["database's connection limit is 2"]),
    refused(&["ALTER TABLE s.t ENABLE ROW LEVEL SECURITY"], &["row security hides rows"]),
    refused(
        &["CREATE RULE odd AS ON UPDATE TO s.t DO INSTEAD NOTHING"],
        &["rules rewrite what weir writes: odd"],
    ),
    warned(
        &["ALTER TABLE s.t ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY"],
        &["column id is GENERATED ALWAYS AS IDENTITY"],
    ),
    by_hand(
        &["DROP TRIGGER loud ON s.t"],
        warned(
            &[
                "CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql \
                 AS 'BEGIN RETURN NULL; END'",
                "CREATE TRIGGER loud BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION loud()",
            ],
            &["triggers fire for what weir writes: loud"],
        ),
    ),
    by_hand(
        &["DROP TABLE public.notes"],
        warned(
            &[
                "CREATE TABLE public.notes (a INT CONSTRAINT noted REFERENCES s.t ON DELETE CASCADE)",
            ],
            &["foreign key noted of public.notes, which the link does not write"],
        ),
    ),
    refused(&["ALTER TABLE s.t DROP CONSTRAINT t_pkey"], &["no unique index of the target table"]),
    // Last: it is mended for weir only.
    refused(
        &["ALTER DATABASE app SET default_transaction_read_only = on"],
        &["default_transaction_read_only is on"],
    ),
];
