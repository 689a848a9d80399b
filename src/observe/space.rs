//! Measures the free space of the state directory's file system, for the links' circuit breaker, the
//! metrics and the alerts. What is done about too little is not here.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::statvfs;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::link::space::Room;

/// How often the file system is looked at: less than it takes to write what weir wants left.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Measures once, before anything is written.
pub async fn measure(state_dir: &Path, room: &watch::Sender<Room>) {
    let path = state_dir.to_owned();
    let measured = tokio::task::spawn_blocking(move || free(&path)).await;
    let measured = measured.unwrap_or_else(|cause| Err(io::Error::other(cause)));
    if let Err(error) = &measured
        && room.borrow().free.is_some()
    {
        let path = state_dir.display();
        tracing::warn!(%path, %error, "the free space of the state directory cannot be told");
    }
    room.send_if_modified(|room| {
        let was = std::mem::replace(&mut room.free, measured.ok());
        was != room.free
    });
}

/// Measures until `stop`.
pub async fn watch(state_dir: PathBuf, room: watch::Sender<Room>, stop: CancellationToken) {
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = look.tick() => measure(&state_dir, &room).await,
        }
    }
}

/// Bytes that weir's user may still write on the file system of `path`.
fn free(path: &Path) -> io::Result<u64> {
    let found = statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::space::Space;

    /// Broken if the free space were that of another file system or in another unit than `df` says, or
    /// one that cannot be told stopped links.
    #[tokio::test]
    async fn free_space_is_what_df_says() {
        let (room, space) = Space::new();
        let told = |kind: &str| {
            let mut df = std::process::Command::new("df");
            let output = df.args(["-B1", "--output=avail", kind]).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().nth(1).unwrap().trim().parse::<u64>().unwrap()
        };
        for path in ["/dev/shm", "/proc"] {
            measure(Path::new(path), &room).await;
            let (found, told) = (space.now().free.unwrap(), told(path));
            assert!(found.abs_diff(told) < 256 << 20, "{path}: {found} {told}");
        }
        measure(Path::new("/nonexistent"), &room).await;
        assert_eq!(space.now().free, None);
    }
}
