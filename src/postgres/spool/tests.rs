//! Blocks of open transactions as the server sends them, kept in memory and on disk.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A spool below a folder of its own.
struct Rig {
    folder: tempfile::TempDir,
    spool: Spool,
}

impl Rig {
    async fn new(bytes_max: u64) -> Rig {
        let folder = tempfile::tempdir().expect("folder");
        let directory = folder.path().join("spool/a_b");
        std::fs::create_dir_all(&directory).expect("left behind");
        std::fs::write(directory.join("7.spool"), "left behind").expect("left behind");
        let spool = Spool::open(&SpoolPlace { directory, bytes_max }).await.expect("a spool");
        Rig { folder, spool }
    }

    async fn take(&mut self, message: Vec<u8>) -> Taken {
        self.spool.take(&message.into()).await.expect("in order")
    }

    /// A block of inserts of (subtransaction, text).
    async fn block(&mut self, xid: u32, first: bool, inserts: &[(u32, &str)]) -> Option<Error> {
        self.take(start(xid, first)).await;
        for (subxid, text) in inserts {
            if let Taken::NoRoom(error) = self.take(insert(*subxid, text)).await {
                return Some(error);
            }
        }
        self.take(b"E".to_vec()).await;
        None
    }

    /// What the commit of a transaction hands on.
    async fn commit(&mut self, xid: u32) -> Result<Vec<String>> {
        let Taken::Committed(commit, mut replay) = self.take(commit(xid)).await else {
            panic!("not committed")
        };
        assert_eq!((commit.xid, commit.time_us), (xid, 3));
        let mut texts = Vec::new();
        while let Some(message) = replay.next().await? {
            assert_eq!(message[0], b'I');
            texts.push(String::from_utf8_lossy(&message[1..]).into_owned());
        }
        Ok(texts)
    }

    fn files(&self) -> Vec<PathBuf> {
        let directory = std::fs::read_dir(self.folder.path().join("spool/a_b"));
        directory.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }
}

fn start(xid: u32, first: bool) -> Vec<u8> {
    [b"S".as_slice(), &xid.to_be_bytes(), &[u8::from(first)]].concat()
}

fn insert(subxid: u32, text: &str) -> Vec<u8> {
    [b"I".as_slice(), &subxid.to_be_bytes(), text.as_bytes()].concat()
}

fn commit(xid: u32) -> Vec<u8> {
    let numbers = [1u64, 2, 3].map(u64::to_be_bytes).concat();
    [b"c".as_slice(), &xid.to_be_bytes(), &[0], &numbers].concat()
}

fn abort(xid: u32, subxid: u32) -> Vec<u8> {
    [b"A".as_slice(), &xid.to_be_bytes(), &subxid.to_be_bytes()].concat()
}

/// Broken if changes were lost, doubled or mixed between transactions, if what was rolled back were
/// handed on, or if a file outlived its transaction.
#[tokio::test]
async fn transactions_come_whole_at_their_commit() {
    let mut rig = Rig::new(1 << 30).await;
    assert_eq!(rig.files().len(), 0, "what was left behind is gone");
    let large = "x".repeat(CHUNK_BYTES);
    rig.block(10, true, &[(10, "a"), (11, "lost"), (11, &large)]).await;
    rig.block(20, true, &[(20, "small")]).await;
    let [file] = &rig.files()[..] else { panic!("one file") };
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("file").permissions().mode();
    assert_eq!(mode(file) & 0o777, 0o600);
    assert_eq!(mode(file.parent().expect("directory")) & 0o777, 0o700);
    assert!(matches!(rig.take(b"B".to_vec()).await, Taken::Pass));
    assert!(matches!(rig.take(abort(10, 11)).await, Taken::Kept));
    rig.block(10, false, &[(12, "b"), (10, &large), (10, "c")]).await;
    rig.block(30, true, &[(30, &large)]).await;
    assert_eq!(rig.files().len(), 2);
    rig.take(abort(30, 30)).await;
    rig.take(abort(99, 99)).await;
    assert_eq!(rig.files().len(), 1);
    assert_eq!(rig.commit(20).await.expect("readable"), ["small"]);
    assert_eq!(rig.commit(10).await.expect("readable"), ["a", "b", &large, "c"]);
    assert_eq!(
        (rig.files().len(), rig.spool.used.load(std::sync::atomic::Ordering::Relaxed)),
        (0, 0)
    );
    rig.block(40, true, &[(40, &large)]).await;
    drop(rig.spool);
    assert!(!rig.folder.path().join("spool/a_b").exists());
}

/// Broken if a spool outgrew its bound, or a full one were an error that halts.
#[tokio::test]
async fn the_bound_is_kept() {
    let mut rig = Rig::new(3 * CHUNK_BYTES as u64).await;
    let half = "x".repeat(CHUNK_BYTES / 2);
    let error = rig.block(1, true, &[(1, half.as_str()); 12]).await.expect("no room");
    assert_eq!(error.kind(), Kind::DiskFull);
    let bytes: u64 = rig.files().iter().map(|file| file.metadata().expect("file").len()).sum();
    assert!(bytes <= 3 * CHUNK_BYTES as u64, "{bytes}");
    std::fs::remove_dir_all(rig.folder.path().join("spool")).expect("removed");
    let mut rig = Rig::new(1 << 30).await;
    std::fs::remove_dir_all(rig.folder.path().join("spool")).expect("removed");
    let error = rig.block(1, true, &[(1, half.as_str()); 4]).await.expect("no directory");
    assert_eq!(error.kind(), Kind::Io);
}

/// Broken if a disk that forgets could write wrong rows.
#[tokio::test]
async fn a_damaged_file_is_an_error() {
    let large = "x".repeat(CHUNK_BYTES);
    for (offset, byte) in [(0, b'?'), (13, 9), (17, 1), (4000, b'y')] {
        let mut rig = Rig::new(1 << 30).await;
        rig.block(1, true, &[(1, &large)]).await;
        let path = rig.files().pop().expect("a file");
        let mut bytes = std::fs::read(&path).expect("file");
        bytes[offset] = byte;
        std::fs::write(&path, bytes).expect("damage");
        let error = rig.commit(1).await.expect_err("damaged");
        assert_eq!(error.kind(), Kind::Unavailable, "{offset}");
    }
}

/// Broken if a stretch that was never sent were taken for a whole transaction.
#[tokio::test]
async fn order_is_checked() {
    for messages in [
        vec![start(1, false)],
        vec![commit(1)],
        vec![b"E".to_vec()],
        vec![start(1, true), b"E".to_vec(), start(1, true)],
        vec![start(1, true), start(2, true)],
        vec![start(1, true), b"B".to_vec()],
        vec![start(1, true), b"I\0".to_vec()],
        vec![start(1, true)[..3].to_vec()],
    ] {
        let mut rig = Rig::new(1 << 30).await;
        let mut outcome = Ok(Taken::Pass);
        for message in messages {
            outcome = rig.spool.take(&message.into()).await;
        }
        assert_eq!(outcome.expect_err("out of order").kind(), Kind::Malformed);
    }
}
