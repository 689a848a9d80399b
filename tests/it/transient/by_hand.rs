//! What statements alone cannot do to a server: stop it, hold every login, fill its disk, hold a slot.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::process::{Pid, Signal, kill_process};
use weir::sandbox::Running;

use super::ByHand;
use super::stage::{SPACE, Stage};
use crate::harness::query_in;
use crate::load::Session;
use crate::rights::{READER, SECRET, WRITER};

/// Takes what is left in the tablespace, in a transaction that is rolled back to give it back.
const FULL: &str = "full_up";

/// What is in the way while a trouble lasts.
#[derive(Default)]
pub struct InTheWay {
    logins: Vec<mysql_async::Conn>,
    aside: Option<PathBuf>,
    stopped: Option<Pid>,
}

impl Stage {
    /// Begins what is done by hand; `session` is an administrator's.
    pub async fn begin(
        &mut self,
        by_hand: ByHand,
        at_target: bool,
        session: &mut Session,
    ) -> InTheWay {
        let mut in_the_way = InTheWay::default();
        let user = if at_target { WRITER } else { READER };
        match by_hand {
            ByHand::Nothing => {}
            ByHand::EndSessions => end_sessions(session, &[]).await,
            ByHand::HoldLogins => {
                in_the_way.logins = hold_logins(self.server(at_target), session, user).await;
            }
            ByHand::Stop => self.server_mut(at_target).stop().await.expect("stopped"),
            ByHand::Kill => self.server_mut(at_target).kill().await.expect("killed"),
            ByHand::FillDisk => in_the_way.aside = fill(self.server(at_target), session).await,
            ByHand::HoldSlot => {
                let sql = "SELECT active_pid FROM pg_replication_slots WHERE active";
                let pid = query_in(self.server(at_target), SPACE, sql).await.remove(0);
                let pid = Pid::from_raw(pid.parse().expect("a process")).expect("a process");
                kill_process(pid, Signal::STOP).expect("the sender stands still");
                in_the_way.stopped = Some(pid);
                self.start_anew().await;
            }
        }
        in_the_way
    }

    /// Ends it.
    pub async fn relieve(
        &mut self,
        in_the_way: InTheWay,
        by_hand: ByHand,
        at_target: bool,
        session: &mut Session,
    ) {
        for login in in_the_way.logins {
            login.disconnect().await.expect("logged out");
        }
        if let Some(pid) = in_the_way.stopped {
            kill_process(pid, Signal::CONT).expect("the sender goes on");
        }
        match (by_hand, in_the_way.aside) {
            (ByHand::Stop | ByHand::Kill, _) => {
                self.server_mut(at_target).start_again().await.expect("it comes back");
            }
            (ByHand::FillDisk, Some(path)) => {
                std::fs::remove_file(&path).expect("removed");
                std::fs::rename(path.with_extension("aside"), path).expect("put back");
            }
            (ByHand::FillDisk, None) => {
                session.lines("ROLLBACK").await.expect("room");
            }
            _ => {}
        }
    }
}

/// Ends every session of weir, but those with these numbers.
async fn end_sessions(session: &mut Session, held: &[u32]) {
    if let Session::Postgres(_) = session {
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE application_name LIKE 'weir%'";
        session.lines(kill).await.expect("terminated");
        return;
    }
    for id in sessions(session).await.into_iter().filter(|id| !held.contains(id)) {
        // It may have gone by itself.
        drop(session.lines(&format!("KILL {id}")).await);
    }
}

/// Sessions of weir's users at a MySQL or MariaDB.
async fn sessions(session: &mut Session) -> Vec<u32> {
    let list = format!(
        "SELECT id FROM information_schema.processlist WHERE user IN ('{READER}', '{WRITER}')"
    );
    let ids = session.lines(&list).await.expect("sessions");
    ids.iter().map(|id| id.parse().expect("a number")).collect()
}

/// Logs in as weir until no more is let in and weir itself is out.
async fn hold_logins(
    server: &Running,
    session: &mut Session,
    user: &str,
) -> Vec<mysql_async::Conn> {
    let opts = mysql_async::OptsBuilder::from_opts(server.mysql_opts());
    let opts = opts.user(Some(user)).pass(Some(SECRET)).db_name(None::<&str>);
    let opts = mysql_async::Opts::from(opts);
    let mut held: Vec<mysql_async::Conn> = Vec::new();
    loop {
        while let Ok(login) = mysql_async::Conn::new(opts.clone()).await {
            held.push(login);
        }
        let ours: Vec<u32> = held.iter().map(mysql_async::Conn::id).collect();
        if sessions(session).await.iter().all(|id| ours.contains(id)) {
            return held;
        }
        end_sessions(session, &ours).await;
    }
}

/// Lets the table `grow` find no room. On PostgreSQL its file, still empty, becomes the device that is
/// always full; elsewhere its tablespace may not grow, and all of it is taken.
async fn fill(server: &Running, session: &mut Session) -> Option<PathBuf> {
    if server.kind().is_postgres() {
        let sql = "SELECT pg_relation_filepath('pass.grow')";
        let path = server.data_dir().join(query_in(server, SPACE, sql).await.remove(0));
        std::fs::rename(&path, path.with_extension("aside")).expect("put aside");
        symlink("/dev/full", &path).expect("always full");
        end_sessions(session, &[]).await;
        return Some(path);
    }
    let make = format!(
        "SET SESSION sql_log_bin = 0; SET GLOBAL innodb_file_per_table = OFF; \
         CREATE TABLE {FULL} (id INT AUTO_INCREMENT PRIMARY KEY, body LONGTEXT); \
         SET GLOBAL innodb_file_per_table = ON"
    );
    session.lines(&make).await.expect("a table");
    // To drop or delete would need room.
    session.lines("START TRANSACTION").await.expect("a transaction");
    for bytes in [4_000_000, 1_000_000, 300_000] {
        let insert = format!("INSERT INTO {FULL} (body) VALUES (repeat('x', {bytes}))");
        let mut rows = 0;
        while let Ok(_row) = session.lines(&insert).await {
            rows += 1;
            assert!(rows < 1_000, "the tablespace is never full");
        }
    }
    None
}
