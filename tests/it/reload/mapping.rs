//! More of a mapping that changes while weir runs: columns, names, owners, whole links, files that are
//! broken, and a database that is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weir::sandbox::Running;

use super::{SOON, SPACE, load, rows, run_statements, weir_pid};
use crate::harness::{Outcome, Pair, Weir, execute_in, query_in, until, url_for};
use crate::hosts::another_address;
use crate::rights::WRITER;

const TABLES: [&str; 5] = ["wide", "moved", "moved_on", "turning", "afar"];
const PLAIN: &str = "[table.wide]\nin.left = \"reload.wide\"\n";
const OWNED_LEFT: &str = "[table.turning]\nin.left = \"reload.turning\"\nin.right = \
                          \"reload.turning\"\nowner = \"left\"\n";

/// The running weir, its files and both servers.
struct Stage<'a> {
    pair: &'a Pair,
    weir: &'a Weir,
    /// The databases.
    head: String,
}

/// The files: databases, the replication's own keys, and what comes after it.
#[derive(Clone, Default)]
struct Files {
    databases: String,
    keys: String,
    after: String,
}

impl Stage<'_> {
    fn write(&self, files: &Files) {
        let Files { databases, keys, after } = files;
        let tables: Vec<_> =
            ["kept", "wide", "moved"].map(|table| format!("\"{SPACE}.{table}\"")).into();
        let tables = tables.join(", ");
        let text = format!(
            "{}\n\n{databases}\n[[replicate]]\nfrom = \"left\"\nto = \"right\"\ntables = \
             [{tables}]\n{keys}\n\n{after}",
            self.head
        );
        std::fs::write(self.weir.config(), text).expect("weir.toml");
    }

    async fn reload(&self, words: &[&str]) -> Outcome {
        self.weir.run(&[&["reload"], words].concat()).await
    }

    /// Writes the files, and does what `weir plan` says is to be done before.
    async fn prepare(&self, files: &Files) {
        self.write(files);
        let plan = self.weir.run(&["plan", "--json"]).await.expect_code(3).stdout;
        run_statements(self.pair, &plan, "before").await;
    }

    /// Takes up what needs a decision, and is refused until it is made.
    async fn decide(&self, files: &Files, phrase: &str) {
        self.write(files);
        let refused = self.reload(&[]).await.expect_code(1);
        refused.expect_phrase("weir reload --accept").expect_phrase(phrase);
        self.reload(&["--accept"]).await.expect_code(0);
    }

    /// Takes up what needs none.
    async fn take_up(&self, files: &Files, phrase: &str) {
        self.write(files);
        self.reload(&[]).await.expect_code(0).expect_phrase(phrase);
    }

    async fn on_source(&self, sql: &str) {
        execute_in(&self.pair.source, SPACE, sql).await;
    }

    /// Waits, and compares a table of the target.
    async fn expect(&self, table: &str, lines: &[&str]) {
        self.weir.run(&["wait", "left:right"]).await.expect_code(0);
        assert_eq!(rows(&self.pair.target, table).await, lines, "{table}");
    }
}

/// Broken if a change of columns, names, owners or links under load lost or repeated a row, was taken
/// up without the decision that it needs, or did other than `weir plan` says; if a broken file changed
/// anything; or if a database that is away kept what does not concern it from being taken up.
pub(super) async fn rules(pair: &Arc<Pair>, weir: &Weir) {
    for server in [&pair.source, &pair.target] {
        for table in TABLES {
            let sql =
                format!("CREATE TABLE {table} (id INT PRIMARY KEY, a VARCHAR(10), b INT, d INT)");
            execute_in(server, SPACE, &sql).await;
        }
    }
    let text = std::fs::read_to_string(weir.config()).expect("weir.toml");
    let head = text.split("\n[[replicate]]").next().expect("databases").trim_end().to_owned();
    let stage = Stage { pair, weir, head };
    let stop = Arc::new(AtomicBool::new(false));
    let writer = load(pair, &stop, 2_000_000);
    let start = Files { after: format!("{PLAIN}{OWNED_LEFT}"), ..Files::default() };
    stage.prepare(&start).await;
    stage.take_up(&start, "reload.turning").await;
    for table in ["wide", "moved", "turning"] {
        stage.on_source(&format!("INSERT INTO {table} VALUES (1, 'a', 1, 1)")).await;
    }
    broken_files(&stage, &start).await;
    columns(&stage, &start).await;
    target_name(&stage, &start).await;
    links(&stage, &start).await;
    owner(&stage, &start).await;
    stop.store(true, Ordering::Relaxed);
    writer.await.expect("load");
    weir.run(&["wait", "left:right"]).await.expect_code(0);
    assert_eq!(rows(&pair.target, "kept").await, rows(&pair.source, "kept").await);
}

async fn broken_files(stage: &Stage<'_>, start: &Files) {
    let broken = Files { after: format!("{}[table.", start.after), ..start.clone() };
    stage.write(&broken);
    stage.reload(&[]).await.expect_code(2);
    rustix::process::kill_process(weir_pid(stage.weir), rustix::process::Signal::HUP)
        .expect("SIGHUP");
    let refused = "the changed files are not taken up";
    until("the signal is answered", SOON, async || stage.weir.log().contains(refused)).await;
    for unknown in
        ["[table.wide.column]\nnope = { in.right = \"other\" }\n", "local = [\"nope\"]\n"]
    {
        stage.write(&Files { after: format!("{PLAIN}{unknown}{OWNED_LEFT}"), ..start.clone() });
        stage.reload(&["--accept"]).await.expect_code(1).expect_phrase("names column nope");
    }
    stage.on_source("UPDATE wide SET b = 2").await;
    stage.expect("wide", &["1\ta\t2"]).await;
    stage.write(start);
}

async fn columns(stage: &Stage<'_>, start: &Files) {
    let with = |more: &str| Files { after: format!("{PLAIN}{more}{OWNED_LEFT}"), ..start.clone() };
    stage.take_up(&with("ignore = [\"b\"]\n"), "column b is no longer carried").await;
    stage.on_source("UPDATE wide SET a = 'b', b = 12").await;
    stage.expect("wide", &["1\tb\t2"]).await;
    stage.decide(start, "column b is carried; rows get it where it changes").await;
    stage.on_source("UPDATE wide SET b = 3").await;
    stage.expect("wide", &["1\tb\t3"]).await;
    stage.take_up(&with("local = [\"b\"]\n"), "column b is no longer carried").await;
    let crossed = "[table.wide.column]\nb = { in.right = \"d\" }\nd = { in.right = \"b\" }\n";
    stage.decide(&with(crossed), "column d goes to b instead of d").await;
    stage.on_source("UPDATE wide SET b = 7, d = 8").await;
    stage.expect("wide", &["1\tb\t8"]).await;
    let keyed = "[table.wide.column]\nid = { in.right = \"d\" }\nd = { in.right = \"id\" }\n";
    stage.write(&with(keyed));
    stage.reload(&["--accept"]).await.expect_code(1);
    stage.decide(start, "column b goes to b instead of d").await;
}

async fn target_name(stage: &Stage<'_>, start: &Files) {
    let renamed =
        Files { keys: "rename = { \"reload.moved\" = \"moved_on\" }".into(), ..start.clone() };
    stage.prepare(&renamed).await;
    stage.decide(&renamed, "goes to reload.moved_on instead of reload.moved").await;
    stage.on_source("INSERT INTO moved VALUES (2, 'b', 2, 2)").await;
    stage.expect("moved_on", &["2\tb\t2"]).await;
    stage.expect("moved", &["1\ta\t1"]).await;
    stage.decide(start, "goes to reload.moved instead of reload.moved_on").await;
}

/// A link that is new, one whose database is away, and one that goes.
async fn links(stage: &Stage<'_>, start: &Files) {
    let (port, pipe) = another_address(stage.pair.target.port()).await;
    let url = url_for(WRITER, &stage.pair.target.url());
    let url = url.replace(&stage.pair.target.port().to_string(), &port.to_string());
    let password = "password = { env = \"RIGHT_PASSWORD\" }";
    let databases = format!("[database.far]\nurl = \"{url}\"\n{password}\n");
    let afar = "[[replicate]]\nfrom = \"left\"\nto = \"far\"\ntables = [\"reload.afar\"]\n";
    let after = format!("{}{afar}", start.after);
    let far = Files { databases, after, ..start.clone() };
    stage.prepare(&far).await;
    stage.take_up(&far, "left:far  new").await;
    stage.on_source("INSERT INTO afar VALUES (1, 'a', 1, 1)").await;
    stage.weir.run(&["wait", "left:far"]).await.expect_code(0);
    assert_eq!(rows(&stage.pair.target, "afar").await, ["1\ta\t1"]);
    pipe.abort();
    until("the database is away", SOON, async || {
        stage.weir.run(&["status", "--json"]).await.stdout.contains("\"state\": \"retrying\"")
    })
    .await;
    let both = "[link.left.far]\nbatch_rows_max = 9\n[link.left.right]\nbatch_rows_max = 8\n";
    stage.write(&Files { after: format!("{}{both}", far.after), ..far.clone() });
    let refused = stage.reload(&[]).await.expect_code(1);
    refused.expect_phrase("left:far").expect_phrase("leave what the files say of it as it was");
    let other = "[link.left.right]\nbatch_rows_max = 8\n";
    stage.write(&Files { after: format!("{}{other}", far.after), ..far });
    let taken = stage.reload(&[]).await.expect_code(0);
    taken
        .expect_phrase("batch_rows_max was 5000, is 8")
        .expect_phrase("left:far  the files are as");
    stage.take_up(start, "the link is no longer configured").await;
    let status = stage.weir.run(&["status"]).await.expect_code(0);
    assert!(!status.stdout.contains("left:far"), "{}", status.stdout);
}

/// What the one has written is applied before the other takes over; from then on it is overwritten.
async fn owner(stage: &Stage<'_>, start: &Files) {
    stage.expect("turning", &["1\ta\t1"]).await;
    let owned = OWNED_LEFT.replace("owner = \"left\"", "owner = \"right\"");
    let after = format!("{PLAIN}{owned}");
    stage.prepare(&Files { after: after.clone(), ..start.clone() }).await;
    stage.reload(&["--accept"]).await.expect_code(1).expect_phrase("start = \"now\"");
    let after = format!("{after}[link.right.left]\nstart = \"now\"\n");
    let turned = Files { after, ..start.clone() };
    stage.decide(&turned, "right owns it instead of left").await;
    stage.on_source("UPDATE turning SET b = 99").await;
    execute_in(&stage.pair.target, SPACE, "UPDATE turning SET a = 'right'").await;
    stage.weir.run(&["wait", "right:left"]).await.expect_code(0);
    stage.expect("turning", &["1\tright\t1"]).await;
    let left: &Running = &stage.pair.source;
    let carried = query_in(left, SPACE, "SELECT a FROM {space}.turning").await;
    assert_eq!(carried, ["right"]);
    stage.weir.run(&["plan"]).await.expect_code(0).expect_phrase("the files are what runs");
}
