//! What a copy costs beside the bare pipe of the servers' own tools, on the same data in the same run:
//! rows per second, the ratio, weir's own CPU and memory. Into an empty table with the same primary key.
//!
//! A million rows (`BENCH_SCALE` scales them), filled once per source. Where there is a pipe, it and
//! weir take turns, [`TURNS`] times, and the medians count. `ACCEPTANCE_DIRECTION` picks one by its
//! number.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use weir::sandbox::{Options, Running, Server, require};

use crate::crash::SPACE;
use crate::harness::{Pair, Weir, execute_in, until};
use crate::item;
use crate::million::{cpu_seconds, peak_resident_kib};
use crate::pipe::Pipe;
use crate::rights::{self, READER, WRITER};

/// Rows at scale 1.
const ROWS: f64 = 1_000_000.0;
/// Copies by each.
const TURNS: usize = 3;

/// What is copied, and beside which pipe. Each source is filled once for all that follow.
const COPIES: [(Server, Server, Option<Pipe>); 7] = [
    (Server::Postgres15, Server::Postgres18, Some(Pipe::Copy)),
    (Server::Postgres15, Server::MySql97, None),
    (Server::Postgres15, Server::MariaDb1011, None),
    (Server::MySql97, Server::MySql97, Some(Pipe::Dump)),
    (Server::MySql97, Server::Postgres18, Some(Pipe::Select)),
    (Server::MariaDb1011, Server::MariaDb1011, Some(Pipe::Dump)),
    (Server::MariaDb1011, Server::Postgres15, Some(Pipe::Pgloader)),
];

/// What one copy by weir took.
#[derive(Clone, Copy, Debug)]
struct Copied {
    /// From the start of the process to the last row.
    whole: Duration,
    /// From the first piece to the last.
    pieces: Duration,
    cpu_us_per_row: f64,
    resident_mib: u64,
}

/// All copies, or the one that is picked.
pub async fn bench(scale: f64, only: Option<usize>) {
    let rows = (ROWS * scale) as u64;
    println!("copies of {rows} rows, load average {}", load_average());
    println!(
        "{:<26} {:<22} {:>9} {:>9} {:>6} {:>10} {:>8} {:>9}",
        "from, to", "pipe", "pipe/s", "weir/s", "ratio", "pieces/s", "us/row", "peak MiB"
    );
    let mut filled: Option<Running> = None;
    for (number, (source, target, pipe)) in COPIES.into_iter().enumerate() {
        if only.is_some_and(|only| only != number) {
            continue;
        }
        let source = match filled.take().filter(|server| server.kind() == source) {
            Some(server) => server,
            None => filled_source(source, rows).await,
        };
        let target = require(target, Options::default()).await.expect("target").expect("target");
        rights::create(&target, WRITER).await;
        let space = if target.kind().is_postgres() { "SCHEMA" } else { "DATABASE" };
        target.execute(&format!("CREATE {space} {SPACE}")).await.expect("create space");
        let pair = Pair { source, target };
        compare(&pair, pipe, rows, number).await;
        filled = Some(pair.source);
    }
}

async fn filled_source(kind: Server, rows: u64) -> Running {
    let source = require(kind, Options::default()).await.expect("source").expect("source");
    rights::create(&source, READER).await;
    let space = if kind.is_postgres() { "SCHEMA" } else { "DATABASE" };
    source.execute(&format!("CREATE {space} {SPACE}")).await.expect("create space");
    item::fill(&source, rows).await;
    source
}

/// weir and the pipe take turns.
async fn compare(pair: &Pair, pipe: Option<Pipe>, rows: u64, number: usize) {
    let (mut piped, mut copied) = (Vec::new(), Vec::new());
    for turn in 0..TURNS {
        if let Some(pipe) = pipe {
            piped.push(pipe.run(pair, rows).await);
        }
        copied.push(copy(pair, rows, &format!("copy{number}{turn}")).await);
    }
    piped.sort_unstable();
    copied.sort_unstable_by_key(|one| one.whole);
    let rate = |took: Duration| rows as f64 / took.as_secs_f64();
    let piped = piped.get(TURNS / 2).map(|took| rate(*took));
    let Copied { whole, pieces, cpu_us_per_row, resident_mib } = copied[TURNS / 2];
    let of_pipe = |text: fn(f64, f64) -> String| {
        piped.map_or_else(|| "-".to_owned(), |piped| text(piped, rate(whole)))
    };
    println!(
        "{:<26} {:<22} {:>9} {:>9.0} {:>6} {:>10.0} {:>8.1} {:>9}",
        format!("{} > {}", pair.source.kind(), pair.target.kind()),
        pipe.map_or("-", |pipe| pipe.name(pair.source.kind())),
        of_pipe(|piped, _| format!("{piped:.0}")),
        rate(whole),
        of_pipe(|piped, weir| format!("{:.2}", weir / piped)),
        rate(pieces),
        cpu_us_per_row,
        resident_mib,
    );
    println!("  load average {}, {rows} rows in {:.1} s", load_average(), whole.as_secs_f64());
}

/// One copy by weir, as a link that is new.
async fn copy(pair: &Pair, rows: u64, name: &str) -> Copied {
    execute_in(&pair.target, SPACE, "DROP TABLE IF EXISTS item").await;
    let weir = Weir::new(pair, name, SPACE, "\n[apply]\nstart = \"snapshot\"\n");
    weir.let_look().await;
    let ddl = weir.run(&["ddl"]).await.expect_code(0).stdout;
    execute_in(&pair.target, SPACE, &ddl).await;
    weir.grant().await;
    let (started, clock) = (Instant::now(), now_us());
    let mut child = weir.spawn(&["run"]);
    let mut progress = serde_json::Value::Null;
    until("the copy is done", Duration::from_secs(900), async || {
        assert!(child.try_wait().expect("state").is_none(), "weir ended:\n{}", weir.log());
        progress = progress_of(&pair.target).await;
        progress["stage"] == "done"
    })
    .await;
    let at = |name: &str| progress[name].as_u64().unwrap_or_else(|| panic!("{name} in {progress}"));
    let whole = Duration::from_micros(at("ended_us").saturating_sub(clock));
    assert!(whole <= started.elapsed());
    assert_eq!(at("rows"), rows, "{progress}");
    let copied = Copied {
        whole,
        pieces: Duration::from_micros(at("ended_us") - at("begun_us")),
        cpu_us_per_row: cpu_seconds(&child) * 1e6 / rows as f64,
        resident_mib: peak_resident_kib(&child) / 1024,
    };
    let pid = child.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
    rustix::process::kill_process(pid.expect("pid"), rustix::process::Signal::TERM)
        .expect("SIGTERM");
    assert!(child.wait().await.expect("an end").success(), "weir ended:\n{}", weir.log());
    weir.tear_down().await;
    copied
}

/// How far the only copy is, as the target has it; null before there is one.
async fn progress_of(target: &Running) -> serde_json::Value {
    let sql = "SELECT progress FROM weir.snapshot WHERE table_name LIKE '%item%'";
    let rows = target.query(sql).await.unwrap_or_default();
    let text = rows.into_iter().flatten().flatten().next();
    text.map_or(serde_json::Value::Null, |text| serde_json::from_str(&text).expect("progress"))
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
    u64::try_from(since.as_micros()).expect("a clock")
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("?").to_owned()
}
