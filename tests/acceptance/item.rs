//! A table with many rows, made on the server that is to hold it: a key, texts, a number, a decimal, a time,
//! a truth and a document, about 250 bytes a row. And its checksum, which is the same in every dialect.

use weir::sandbox::{Running, Server};

use crate::crash::SPACE;
use crate::harness::execute_in;
use crate::load::Session;

/// Rows made by one statement.
const PART: u64 = 100_000;
/// Keys that one checksum is for.
pub const SLICE: u64 = 200_000;

/// CREATE TABLE of `item`.
pub fn table(kind: Server) -> &'static str {
    match kind {
        Server::Postgres15 | Server::Postgres18 => {
            "CREATE TABLE item (id bigint PRIMARY KEY, code varchar(40) NOT NULL, body text NOT NULL, n int, \
             amount numeric(18,4) NOT NULL, at timestamp(6) NOT NULL, ok boolean NOT NULL, doc jsonb)"
        }
        Server::MariaDb1011 | Server::MySql97 => {
            "CREATE TABLE item (id bigint PRIMARY KEY, code varchar(40) NOT NULL, body text NOT NULL, n int, \
             amount numeric(18,4) NOT NULL, at datetime(6) NOT NULL, ok boolean NOT NULL, doc json) \
             ENGINE=InnoDB"
        }
    }
}

/// The columns in the order of the table.
pub const COLUMNS: &str = "id, code, body, n, amount, at, ok, doc";

/// Makes `item` with `rows` rows, whose keys are 2, 4, 6 and so on. Nothing of it is in the log of MySQL or
/// MariaDB.
pub async fn fill(server: &Running, rows: u64) {
    let kind = server.kind();
    execute_in(server, SPACE, table(kind)).await;
    let mut session = Session::open(server, SPACE).await;
    if !kind.is_postgres() {
        session.lines("SET SESSION sql_log_bin = 0").await.expect("no log");
    }
    for from in (0..rows).step_by(PART as usize) {
        let count = PART.min(rows - from);
        session.transaction(&[insert(kind, from + 1, count)]).await.expect("rows");
    }
    if kind.is_postgres() {
        session.lines("VACUUM ANALYZE item").await.expect("statistics");
    } else {
        session.lines("ANALYZE TABLE item").await.expect("statistics");
    }
}

/// An insert of the rows with the numbers `from .. from + count`, at most [`PART`].
fn insert(kind: Server, from: u64, count: u64) -> String {
    let body = "rpad(concat('row ', g, ' '), 100, 'lorem ipsum dolor sit amet ')";
    let doc = "concat('{\"id\": ', g, ', \"tags\": [\"a\", \"b\"]}')";
    let (from_numbers, at, ok, doc) = if kind.is_postgres() {
        (
            format!("generate_series({from}, {}) g", from + count - 1),
            "timestamp '2024-05-06 07:08:09.123456' + g * interval '1 second'",
            "g % 3 = 0",
            format!("{doc}::jsonb"),
        )
    } else {
        let digits = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL \
                      SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL \
                      SELECT 8 UNION ALL SELECT 9)";
        (
            format!(
                "(SELECT {from} + a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d AS g FROM {digits} f, \
                 {digits} e, {digits} c, {digits} b, {digits} a) s WHERE g < {}",
                from + count
            ),
            "timestamp '2024-05-06 07:08:09.123456' + INTERVAL g SECOND",
            "g % 3 = 0",
            doc.to_owned(),
        )
    };
    format!(
        "INSERT INTO item SELECT 2 * g, concat('c', lpad(concat('', 7 * g), 10, '0')), {body}, g % 1000, \
         g % 100000 + g % 10000 / 10000.0, {at}, {ok}, {doc} FROM {from_numbers}"
    )
}

/// Of each slice of the keys its number, how many rows it has, and the sum of their hashes.
pub async fn checksums(server: &Running, keys: u64) -> Vec<String> {
    let postgres = server.kind().is_postgres();
    let (hash, slice) = if postgres {
        let text = "concat_ws('|', id, code, body, coalesce(n, -1), amount, \
                    to_char(at, 'YYYY-MM-DD HH24:MI:SS.US'), ok::int, doc)";
        let hex = format!("encode(sha256(convert_to({text}, 'UTF8')), 'hex')");
        (format!("('x' || substr({hex}, 1, 15))::bit(60)::bigint"), format!("id / {SLICE}"))
    } else {
        // As bytes: the columns need not have one collation.
        let text = "concat_ws('|', id, cast(code AS binary), cast(body AS binary), coalesce(n, -1), \
                    amount, date_format(at, '%Y-%m-%d %H:%i:%s.%f'), ok, cast(doc AS binary))";
        (
            format!("cast(conv(substr(sha2({text}, 256), 1, 15), 16, 10) AS unsigned)"),
            format!("id DIV {SLICE}"),
        )
    };
    let mut session = Session::open(server, SPACE).await;
    let mut sums = Vec::new();
    // By parts: each is a short look, and no sort goes to the disk.
    for from in (0..keys).step_by(10 * SLICE as usize) {
        let query = format!(
            "SELECT {slice}, count(*), sum({hash}) FROM item WHERE id >= {from} AND id < {} GROUP BY 1 ORDER BY 1",
            from + 10 * SLICE
        );
        sums.extend(session.lines(&query).await.expect("checksums"));
    }
    let beyond = format!("SELECT count(*) FROM item WHERE id < 0 OR id >= {keys}");
    sums.extend(session.lines(&beyond).await.expect("checksums"));
    sums
}
