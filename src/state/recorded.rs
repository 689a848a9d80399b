//! A state directory as an earlier version wrote it, kept in `tests/fixtures/state`, opened by the
//! present one: what a user has after an upgrade.
//!
//! Each version that changes what is stored adds a folder with its number, and none is ever rewritten:
//! `WEIR_RECORD_STATE=1` writes the folder of the present version where there is none. Beside the
//! directory lies `witness.json`, the links' rows of the target's `weir.witness` as they were then.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::config::{Dialect, LinkName};
use crate::error::Kind;
use crate::link::ledger::{Checkpoint, HaltRecord, Ledger, Progress};
use crate::link::resume::{Decision, Facts, decide};
use crate::model::Witness;
use crate::state::Store;

/// The versions whose state directories are kept.
const KEPT: &[&str] = &["0.1.0"];

const INSTALLATION: &str = "0123456789abcdef0123456789abcdef";
const POSTGRES: &str = "7312041980 1";
const MYSQL: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
const MARIADB: &str = "mariadb db.example:3306";

fn folder(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/state").join(version)
}

/// What was recorded: a link per dialect, one of them halted, one reviewed.
fn recorded() -> BTreeMap<LinkName, Checkpoint> {
    let link = |source: &str, target: &str| LinkName {
        source: source.to_owned(),
        target: target.to_owned(),
    };
    let of = |seq, position: &str, source: &str, target: &str| Checkpoint {
        installation: INSTALLATION.to_owned(),
        progress: Some(Progress {
            seq,
            position: position.parse().expect("a position"),
            applied_us: None,
        }),
        source_identity: source.to_owned(),
        target_identity: target.to_owned(),
        shapes: Arc::new(BTreeMap::from([(
            "s.t".to_owned(),
            vec!["key id".to_owned(), "column id int".to_owned(), "column ö text".to_owned()],
        )])),
        ..Checkpoint::default()
    };
    let postgres = of(42, "lsn:16/B374D848", POSTGRES, MYSQL);
    let set = format!("mysql:{MYSQL}:1-5:11-18:tag:1-3@binlog.000003:1234");
    let reviewed =
        Some(format!("mysql:{MYSQL}:1-17@binlog.000003:900").parse().expect("a position"));
    let mysql = Checkpoint { reviewed_until: reviewed, ..of(7, &set, MYSQL, POSTGRES) };
    let halt = HaltRecord {
        kind: Kind::Constraint,
        text: "table s.t (key id), \"quoted\"".to_owned(),
        hint: "mend the row".to_owned(),
        since_us: 1_760_000_000_000_000,
    };
    let mariadb = of(1_000_000, "mariadb:0-1-100,5-2-7@mysql-bin.000009:4", MARIADB, POSTGRES);
    let mariadb = Checkpoint { halt: Some(halt), ..mariadb };
    BTreeMap::from([
        (link("crm", "dwh"), postgres),
        (link("shop", "dwh"), mysql),
        (link("web", "dwh"), mariadb),
    ])
}

fn witnesses() -> Json {
    let row = |(link, checkpoint): (&LinkName, &Checkpoint)| {
        let progress = checkpoint.progress.as_ref().expect("progress");
        json!({
            "name": "prod", "link": link.to_string(), "part": 0, "installation": INSTALLATION,
            "seq": progress.seq, "position": progress.position.to_string(), "restart": null,
            "hops": 0, "pending": null, "source_identity": checkpoint.source_identity,
            "target_identity": checkpoint.target_identity,
        })
    };
    recorded().iter().map(row).collect()
}

async fn record(folder: &Path) {
    let store = Store::open(folder).await.expect("opens");
    for (link, checkpoint) in recorded() {
        store.record(&link, checkpoint).await.expect("durable");
    }
    store.close().await;
    let text = serde_json::to_string_pretty(&witnesses()).expect("JSON") + "\n";
    fs::write(folder.join("witness.json"), text).expect("written");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    fs::set_permissions(to, fs::Permissions::from_mode(0o700)).expect("mode");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, &to).expect("copied");
            fs::set_permissions(to, fs::Permissions::from_mode(0o600)).expect("mode");
        }
    }
}

fn witness(row: &Json) -> Witness {
    let text = |key: &str| row[key].as_str().unwrap_or_else(|| panic!("{key}")).to_owned();
    Witness {
        name: text("name"),
        link: text("link"),
        part: 0,
        installation: text("installation"),
        seq: row["seq"].as_u64().expect("seq"),
        position: text("position").parse().expect("a position"),
        restart: None,
        hops: 0,
        pending: None,
        source_identity: text("source_identity"),
        target_identity: text("target_identity"),
    }
}

/// Every link goes on from where it was.
async fn assert_resumes(state: &Path) {
    let store = Store::open(state).await.expect("opens");
    assert!(!store.is_fresh());
    assert_eq!(store.installation(), INSTALLATION);
    let rows = fs::read(state.join("witness.json")).expect("rows");
    let rows: Vec<Json> = serde_json::from_slice(&rows).expect("JSON");
    assert_eq!(rows.len(), recorded().len());
    for (link, expected) in recorded() {
        let found = store.load(&link).expect("known");
        let expected = Checkpoint { recorded_at_us: found.recorded_at_us, ..expected };
        assert_eq!(found, expected, "{link}");
        let row = rows.iter().find(|row| row["link"] == link.to_string()).expect("a row");
        let witness = witness(row);
        let source_dialect = match link.source.as_str() {
            "crm" => Dialect::Postgres,
            "shop" => Dialect::Mysql,
            _ => Dialect::Mariadb,
        };
        let decision = decide(Facts {
            witness: Some(&witness),
            checkpoint: Some(&found),
            installation: &store.installation(),
            fresh: store.is_fresh(),
            source_dialect,
            source_identity: &expected.source_identity,
            target_identity: &expected.target_identity,
        });
        match decision {
            Decision::Resume(resume) => assert_eq!(resume.note, None, "{link}"),
            other => panic!("{link}: {other:?}"),
        }
    }
    store.close().await;
}

/// Broken if a user who upgrades weir lost what it remembers of the links, or had to start anew.
#[tokio::test]
async fn state_of_earlier_versions_is_read() {
    let present = env!("CARGO_PKG_VERSION");
    if std::env::var_os("WEIR_RECORD_STATE").is_some() && !folder(present).exists() {
        let place = tempfile::tempdir().expect("a folder");
        record(&place.path().join("state")).await;
        copy(&place.path().join("state"), &folder(present));
    }
    for version in KEPT {
        let place = tempfile::tempdir().expect("a folder");
        let state = place.path().join("state");
        copy(&folder(version), &state);
        assert_resumes(&state).await;
        // sled's files gone or of a kind that this version cannot read: the mirror remains.
        fs::remove_dir_all(state.join("ledger")).expect("removed");
        assert_resumes(&state).await;
    }
}
