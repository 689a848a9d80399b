//! The ledger on a real file system: restarts, other processes, torn and corrupt files.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::*;
use crate::link::ledger::Progress;
use crate::plan::Outline;
use crate::state::checkpoint::{self, parse_link};

/// A folder that is open to nobody else, as weir demands.
fn private_folder() -> tempfile::TempDir {
    let private = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().permissions(private).tempdir().expect("folder")
}

fn link() -> LinkName {
    parse_link("crm:billing").expect("link")
}

fn at(seq: u64) -> Checkpoint {
    Checkpoint {
        installation: "ab".repeat(16),
        progress: Some(Progress {
            seq,
            position: format!("lsn:0/{seq:X}").parse().expect("lsn"),
            applied_us: None,
        }),
        shapes: Arc::new(BTreeMap::from([(
            "a.b".to_owned(),
            vec![format!("id int {}", seq / 100)],
        )])),
        outline: Some(Arc::new(Outline {
            settings: BTreeMap::from([("rows".to_owned(), (seq / 100).to_string())]),
            ..Outline::default()
        })),
        ..Checkpoint::default()
    }
}

fn seq(store: &Store) -> Option<u64> {
    store.load(&link())?.progress.map(|progress| progress.seq)
}

/// Broken if a checkpoint were lost or an old one won after a restart, or if old ones piled up.
#[tokio::test]
async fn the_newest_checkpoint_survives() {
    let folder = private_folder();
    let path = folder.path().join("deep/state");
    let store = Store::open(&path).await.expect("opens");
    assert!(store.is_fresh());
    let own = store.installation();
    assert_eq!(own.len(), 32);
    for number in 1..=40 {
        store.record(&link(), at(number)).await.expect("durable");
    }
    assert_eq!(store.installation(), "ab".repeat(16), "a fresh state adopts the id");
    drop(store.load(&link()));
    store.close().await;
    let store = Store::open(&path).await.expect("opens again");
    assert!(!store.is_fresh());
    assert_eq!(seq(&store), Some(40));
    let known = store.load(&link()).expect("there");
    assert_eq!((known.shapes, known.outline), (at(40).shapes, at(40).outline));
    assert_eq!(store.installation(), "ab".repeat(16));
    store.close().await;

    let database = sled::open(path.join("ledger")).expect("sled");
    assert_eq!(database.scan_prefix(checkpoint::prefix(&link())).count(), 16);
}

/// Broken if a second weir could write the same state, or were told nothing useful.
#[tokio::test]
async fn a_held_directory_says_who_holds_it() {
    let folder = private_folder();
    let store = Store::open(folder.path()).await.expect("opens");
    let error = Store::open(folder.path()).await.expect_err("held");
    assert_eq!(error.kind(), Kind::State);
    assert!(error.operator_hint().contains("`weir run` holds it"), "{error}");
    store.close().await;
    Store::open(folder.path()).await.expect("free again").close().await;
}

/// Broken if a torn newest record were used, or if the ones before it were given up with it.
#[tokio::test]
async fn a_torn_record_falls_back_to_the_one_before() {
    let folder = private_folder();
    let store = Store::open(folder.path()).await.expect("opens");
    for number in 1..=3 {
        store.record(&link(), at(number)).await.expect("durable");
    }
    store.close().await;
    std::fs::remove_file(folder.path().join("checkpoints.json")).expect("mirror is written");
    let database = sled::open(folder.path().join("ledger")).expect("sled");
    let key = checkpoint::key(&link(), 3);
    let mut bytes = database.get(&key).expect("read").expect("there").to_vec();
    bytes[20] ^= 1;
    database.insert(&key, bytes).expect("written");
    database.flush().expect("flushed");
    drop(database);
    let store = Store::open(folder.path()).await.expect("opens");
    assert_eq!(seq(&store), Some(2));
    store.close().await;
}

async fn survives(spoil: impl FnOnce(&Path)) -> usize {
    let folder = private_folder();
    let store = Store::open(folder.path()).await.expect("opens");
    store.record(&link(), at(7)).await.expect("durable");
    store.close().await;
    spoil(&folder.path().join("ledger"));
    let store = Store::open(folder.path()).await.expect("opens");
    assert_eq!(seq(&store), Some(7));
    assert_eq!(store.load(&link()).expect("there").shapes, at(7).shapes);
    assert_eq!(store.installation(), "ab".repeat(16));
    store.close().await;
    let aside = std::fs::read_dir(folder.path()).expect("folder").filter(|entry| {
        let name = entry.as_ref().expect("entry").file_name();
        name.to_string_lossy().starts_with("ledger.corrupt-")
    });
    aside.count()
}

/// Broken if files that cannot be opened kept weir from starting, were thrown away, or made it
/// forget what the mirror knows.
#[tokio::test]
async fn files_that_do_not_open_are_set_aside_and_the_mirror_loaded() {
    let aside = survives(|ledger| {
        std::fs::remove_file(ledger.join("db")).expect("removed");
        std::fs::create_dir(ledger.join("db")).expect("made");
    });
    assert_eq!(aside.await, 1);
}

/// Broken if weir believed an empty ledger: sled opens a file of noise as an empty one.
#[tokio::test]
async fn files_that_lost_everything_are_filled_from_the_mirror() {
    let aside = survives(|ledger| {
        let length = std::fs::metadata(ledger.join("db")).expect("file").len();
        let noise: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
        std::fs::write(ledger.join("db"), noise).expect("overwritten");
    });
    assert_eq!(aside.await, 0);
    assert_eq!(survives(|ledger| std::fs::remove_dir_all(ledger).expect("gone")).await, 0);
}

/// Broken if one damaged byte in a page that is read late kept weir from starting, or changed what it
/// remembers.
#[tokio::test]
async fn any_damaged_byte_is_survived() {
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..24 {
        survives(|ledger| {
            let file = ledger.join("db");
            let mut bytes = std::fs::read(&file).expect("file");
            let written = bytes.iter().rposition(|byte| *byte != 0).expect("content") + 1;
            for _ in 0..4 {
                bytes[random.usize(..written)] ^= 1 << random.u32(..8);
            }
            std::fs::write(&file, bytes).expect("overwritten");
        })
        .await;
    }
}

/// Broken if links waited for one fsync each: 32 records at once must share a few cycles.
#[tokio::test]
async fn records_share_cycles() {
    let folder = private_folder();
    let store = Store::open(folder.path()).await.expect("opens");
    let names: Vec<_> = (0..32).map(|n| parse_link(&format!("a{n}:b")).expect("link")).collect();
    let started = std::time::Instant::now();
    let records = names.iter().map(|name| store.record(name, at(1)));
    for done in futures_util::future::join_all(records).await {
        done.expect("durable");
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
    store.close().await;
}

/// Broken if what a weir that was killed soon after its first start has left behind could not be removed:
/// nobody else would know whose it is.
#[tokio::test]
async fn a_new_link_is_known_outside_at_once() {
    let folder = private_folder();
    let known = || mirror::memory(folder.path()).expect("readable");
    let store = Store::open(folder.path()).await.expect("opens");
    assert_eq!(known(), None);
    let starting = Checkpoint { progress: None, starting: true, ..at(1) };
    store.record(&link(), starting).await.expect("durable");
    let contents = known().expect("there");
    assert_eq!(contents.installation, store.installation());
    assert!(contents.links[&link()].starting);
    store.forget(&link()).await.expect("durable");
    assert!(known().expect("there").links.is_empty());
    store.close().await;
}

/// Broken if a link that was torn down halted at its next first start, or took others with it.
#[tokio::test]
async fn a_forgotten_link_is_gone() {
    let folder = private_folder();
    let other = parse_link("crm:billing2").expect("link");
    let store = Store::open(folder.path()).await.expect("opens");
    store.record(&link(), at(7)).await.expect("durable");
    store.record(&other, at(8)).await.expect("durable");
    store.forget(&link()).await.expect("durable");
    assert_eq!(store.load(&link()), None);
    store.close().await;
    let store = Store::open(folder.path()).await.expect("opens");
    assert_eq!(store.load(&link()), None);
    assert_eq!(store.load(&other).expect("there").progress, at(8).progress);
    store.close().await;
}
