//! The column pairs of the random test, one line each: the type on PostgreSQL, that on MySQL and MariaDB,
//! how both print it, what makes a value, and values that do not fit, with their reasons.
//!
//! What a value must be at the target is known from how it was made, not from weir.

use super::own::{
    any_bits, bits, cidr, days, inet, integers, interval, labels, letter, lsn, mac, money, point,
    range, ranges, texts, time_of_zone,
};
use super::values::{
    Made, any_text, bytes_of, bytes_up_to, clock, date, decimal, enum_label, float, integer, json,
    moment, single, text_bytes, text_chars, uuid, words, words_of_latin1, year,
};

/// Where a value that does not fit is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At PostgreSQL.
    Postgres,
    /// At MySQL or MariaDB.
    Mysql,
    /// At PostgreSQL, for MySQL only: MariaDB takes it.
    PostgresForMysql,
}

/// How a server prints a column so that every server prints it alike, but for the spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// 0 and 1.
    Truth,
    /// A number in plain notation.
    Number,
    /// A number that is exactly one of 32 bits.
    Single,
    /// A number of 64 bits.
    Double,
    /// The bytes of a text in UTF-8.
    Text,
    /// Bytes.
    Bytes,
    /// A date, a time, or both, in UTC.
    Clock,
    /// A text that needs no care.
    Plain,
    /// A document.
    Json,
    /// An array, as the document that it is elsewhere.
    Array,
    /// What both servers print alike by these expressions, in which `?` is the column.
    By(&'static str, &'static str),
}

/// A pair of columns.
pub struct Kind {
    /// The type on PostgreSQL.
    pub postgres: &'static str,
    /// The type on MySQL and MariaDB.
    pub mysql: &'static str,
    /// How it is printed.
    pub form: Form,
    /// Makes a value that fits both.
    pub make: fn(&mut fastrand::Rng) -> Made,
    /// Values that do not fit, as they are written, with the reason.
    pub misfits: &'static [(At, &'static str, &'static str)],
}

const fn kind(
    postgres: &'static str,
    mysql: &'static str,
    form: Form,
    make: fn(&mut fastrand::Rng) -> Made,
    misfits: &'static [(At, &'static str, &'static str)],
) -> Kind {
    Kind { postgres, mysql, form, make, misfits }
}

use At::{Mysql, Postgres, PostgresForMysql};
use Form::{Array, By, Bytes, Clock, Double, Json, Number, Plain, Single, Text, Truth};

/// All of them. The key of the table stands before.
#[rustfmt::skip]
pub const KINDS: &[Kind] = &[
    kind("boolean", "TINYINT(1)", Truth, |r| integer(r, 0, 1), &[(Mysql, "2", "not_boolean")]),
    kind("boolean", "BIT(1)", Truth, |r| integer(r, 0, 1), &[]),
    kind("smallint", "SMALLINT", Number, |r| integer(r, -32_768, 32_767), &[]),
    kind("integer", "INT", Number, |r| integer(r, -(1 << 31), (1 << 31) - 1), &[]),
    kind("bigint", "BIGINT", Number, |r| integer(r, -(1 << 63), (1 << 63) - 1), &[]),
    kind("smallint", "TINYINT", Number, |r| integer(r, -128, 127), &[(Postgres, "128", "out_of_range")]),
    kind("smallint", "TINYINT UNSIGNED", Number, |r| integer(r, 0, 255), &[(Postgres, "-1", "out_of_range")]),
    kind("integer", "SMALLINT UNSIGNED", Number, |r| integer(r, 0, 65_535), &[(Postgres, "65536", "out_of_range")]),
    kind("integer", "MEDIUMINT", Number, |r| integer(r, -(1 << 23), (1 << 23) - 1), &[(Postgres, "8388608", "out_of_range")]),
    kind("integer", "MEDIUMINT UNSIGNED", Number, |r| integer(r, 0, (1 << 24) - 1), &[(Postgres, "-1", "out_of_range")]),
    kind("bigint", "INT UNSIGNED", Number, |r| integer(r, 0, (1 << 32) - 1), &[(Postgres, "4294967296", "out_of_range")]),
    kind("numeric(20,0)", "BIGINT UNSIGNED", Number, |r| integer(r, 0, (1 << 64) - 1), &[(Postgres, "-1", "out_of_range")]),
    kind("smallint", "YEAR", Number, year, &[(Postgres, "1900", "out_of_range")]),
    kind("numeric(10,2)", "DECIMAL(10,2)", Number, |r| decimal(r, 10, 2), &[(Postgres, "'NaN'", "non_finite")]),
    kind("numeric(65,30)", "DECIMAL(65,30)", Number, |r| decimal(r, 65, 30), &[]),
    kind("numeric(20,10)", "DECIMAL(20,10)", Number, |r| decimal(r, 20, 10), &[]),
    kind("numeric(5,5)", "DECIMAL(5,5)", Number, |r| decimal(r, 5, 5), &[]),
    kind("numeric(1,0)", "DECIMAL(1,0)", Number, |r| decimal(r, 1, 0), &[]),
    kind("numeric(38,9)", "DECIMAL(38,9)", Number, |r| decimal(r, 38, 9), &[]),
    kind("numeric", "DECIMAL(65,30)", Number, |r| decimal(r, 65, 30), &[
        (Postgres, "0.0000000000000000000000000000001", "precision_loss"),
        (Postgres, "1e36", "out_of_range"),
        (Postgres, "'Infinity'", "non_finite"),
    ]),
    kind("real", "FLOAT", Single, single, &[(Postgres, "'NaN'", "non_finite")]),
    kind("double precision", "DOUBLE", Double, float, &[(Postgres, "'-Infinity'", "non_finite")]),
    kind("double precision", "FLOAT", Single, single, &[(Postgres, "0.1", "precision_loss")]),
    kind("char(10)", "CHAR(10)", Text, |r| words(r, 10).trimmed(), &[]),
    kind("char(1)", "CHAR(1)", Text, |r| words(r, 1).trimmed(), &[]),
    kind("varchar(20)", "VARCHAR(20)", Text, |r| text_chars(r, 20), &[(Mysql, "'a\\0b'", "nul_char")]),
    kind("varchar(300)", "VARCHAR(300)", Text, |r| text_chars(r, 300), &[]),
    kind("text", "LONGTEXT", Text, any_text, &[(Mysql, "'\\0'", "nul_char")]),
    kind("text", "MEDIUMTEXT", Text, any_text, &[]),
    kind("text", "TEXT", Text, any_text, &[]),
    kind("text", "TINYTEXT", Text, |r| text_bytes(r, 255), &[(Postgres, "repeat('a', 256)", "too_long")]),
    kind("varchar(50)", "VARCHAR(50) CHARACTER SET latin1", Text, |r| words_of_latin1(r, 50), &[(Postgres, "'Ω'", "charset")]),
    kind("bytea", "LONGBLOB", Bytes, |r| bytes_up_to(r, 2000), &[]),
    kind("bytea", "BLOB", Bytes, |r| bytes_up_to(r, 300), &[]),
    kind("bytea", "TINYBLOB", Bytes, |r| bytes_up_to(r, 255), &[]),
    kind("bytea", "VARBINARY(40)", Bytes, |r| bytes_up_to(r, 40), &[(Postgres, "decode(repeat('00', 41), 'hex')", "too_long")]),
    kind("bytea", "BINARY(4)", Bytes, |r| bytes_of(r, 4), &[(Postgres, "'\\x01'", "length_change")]),
    kind("date", "DATE", Clock, date, &[
        (Postgres, "'infinity'", "infinity"),
        (Postgres, "'0044-03-15 BC'", "out_of_range"),
        (Mysql, "'0000-00-00'", "zero_date"),
        (Mysql, "'2024-05-00'", "partial_date"),
    ]),
    kind("time(6)", "TIME(6)", Clock, |r| clock(r, 6), &[
        (Mysql, "'-00:00:00.000001'", "not_time_of_day"),
        (Mysql, "'24:00:00.000001'", "not_time_of_day"),
    ]),
    kind("time(3)", "TIME(3)", Clock, |r| clock(r, 3), &[]),
    kind("time(0)", "TIME", Clock, |r| clock(r, 0), &[]),
    kind("timestamp(6)", "DATETIME(6)", Clock, |r| moment(r, 6, false), &[
        (Postgres, "'-infinity'", "infinity"),
        (Mysql, "'0000-00-00 00:00:00'", "zero_date"),
    ]),
    kind("timestamp(3)", "DATETIME(3)", Clock, |r| moment(r, 3, false), &[(Postgres, "'10000-01-01'", "out_of_range")]),
    kind("timestamp(0)", "DATETIME", Clock, |r| moment(r, 0, false), &[]),
    kind("timestamptz(6)", "TIMESTAMP(6)", Clock, |r| moment(r, 6, true), &[(Postgres, "'1970-01-01 00:00:00+00'", "out_of_range")]),
    kind("timestamptz(3)", "TIMESTAMP(3)", Clock, |r| moment(r, 3, true), &[(Mysql, "'0000-00-00 00:00:00'", "zero_date")]),
    kind("timestamptz(0)", "TIMESTAMP", Clock, |r| moment(r, 0, true), &[(Postgres, "'2038-01-19 03:14:08+00'", "out_of_range")]),
    kind("uuid", "CHAR(36) CHARACTER SET ascii COLLATE ascii_bin", Plain, uuid, &[]),
    kind("mood", "ENUM('a', 'B c', 'ä', '') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", Text, enum_label, &[]),
    kind("jsonb", "JSON", Json, json, &[
        (PostgresForMysql, "'1e400'", "json_number"),
        (Mysql, "'\"\\\\u0000\"'", "json_nul"),
    ]),
    kind("json", "JSON", Json, json, &[]),
    // Types that only one dialect has.
    kind("bit(10)", "BIT(10)", By("?::text", "LPAD(BIN(? + 0), 10, '0')"), |r| bits(r, 10), &[]),
    kind("bit varying(64)", "VARCHAR(64)", Plain, |r| any_bits(r, 64), &[(Mysql, "'012'", "parse")]),
    kind("inet", "VARCHAR(43)", By("CASE WHEN ? IS NOT NULL THEN format('%s', ?) END", "CAST(? AS CHAR)"), inet, &[(Mysql, "'10.0.0.256'", "parse")]),
    kind("cidr", "VARCHAR(43)", Plain, cidr, &[(Mysql, "'10.0.0.1/8'", "parse")]),
    kind("macaddr", "CHAR(17)", Plain, |r| mac(r, 6), &[]),
    kind("macaddr8", "CHAR(23)", Plain, |r| mac(r, 8), &[]),
    kind("pg_lsn", "VARCHAR(17)", Plain, lsn, &[]),
    kind("timetz", "VARCHAR(24)", Plain, time_of_zone, &[]),
    kind("interval", "VARCHAR(64)", Plain, interval, &[(Mysql, "'soon'", "parse")]),
    kind("int4range", "VARCHAR(255)", Plain, range, &[(Mysql, "'[1,2'", "parse")]),
    kind("int4multirange", "LONGTEXT", Plain, ranges, &[]),
    kind("daterange", "VARCHAR(255)", Plain, days, &[]),
    kind("money", "DECIMAL(19,2)", By("?::numeric::text", "CAST(? AS CHAR)"), money, &[]),
    kind("point", "POINT", By("?[0]::text || ' ' || ?[1]::text", "CONCAT(ST_X(?), ' ', ST_Y(?))"), point, &[
        (Postgres, "'(NaN,0)'", "non_finite"),
    ]),
    kind("text", "SET('a', 'B c', 'ä') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", Plain, labels, &[(Postgres, "'x'", "enum_unknown")]),
    kind("oid", "INT UNSIGNED", Number, |r| integer(r, 0, (1 << 32) - 1), &[]),
    kind("xid8", "BIGINT UNSIGNED", Number, |r| integer(r, 0, (1 << 64) - 1), &[]),
    kind("\"char\"", "CHAR(1)", Plain, letter, &[]),
    kind("integer[]", "JSON", Array, integers, &[(Mysql, "'[1.5]'", "parse"), (Postgres, "'[0:1]={1,2}'", "array_bounds")]),
    kind("text[]", "JSON", Array, texts, &[]),
];

/// The labels of the enum on PostgreSQL.
pub const MOOD: &str = "CREATE TYPE mood AS ENUM ('a', 'B c', 'ä', '')";
