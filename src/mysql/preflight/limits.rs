//! Checks of what a server has enough of for all links of the configuration: sessions; of clocks
//! that agree; and of what stands between weir and the server.
//! Source: MySQL and MariaDB manuals, "Account Resource Limits", "Server System Variables".

use super::super::sql::literal;
use super::{Probe, by, by_hand};
use crate::error::{Kind, Result};
use crate::link::ports::{Finding, Whole};
use crate::link::status::now_us;
use crate::plan::skew;

/// Sessions that a link has at a source at a time: the log's, side reader, what looks at it, and one that
/// ends: a server counts it for a moment yet.
const SESSIONS_PER_READER: u64 = 4;
/// Sessions that a link has at a target at a time: the one that applies, what looks at it, and one
/// that ends.
const SESSIONS_PER_WRITER: u64 = 3;
/// Room that is made beyond what is needed.
const SPARE: u64 = 10;

/// What source and target have in common; nothing where one link looks on its way.
pub(super) async fn look(probe: &mut Probe<'_>) -> Result<Vec<Finding>> {
    let Some(whole) = probe.preflight.whole else { return Ok(Vec::new()) };
    let mut findings = Vec::from_iter(sessions(probe, whole).await?);
    findings.extend(of_user(probe, whole).await?);
    findings.extend(clock(probe).await?);
    findings.extend(proxy(probe));
    Ok(findings)
}

fn needed(whole: &Whole) -> u64 {
    let count =
        |links: usize, each: u64| u64::try_from(links).unwrap_or(u64::MAX).saturating_mul(each);
    count(whole.slots.len(), SESSIONS_PER_READER)
        .saturating_add(count(whole.writers, SESSIONS_PER_WRITER))
}

/// Sessions within the limit of the server.
async fn sessions(probe: &mut Probe<'_>, whole: &Whole) -> Result<Option<Finding>> {
    let needed = needed(whole);
    let sql = "SHOW GLOBAL STATUS LIKE 'Threads_connected'";
    let status = probe.session.texts("count the sessions", sql).await?;
    let all = status.first().and_then(|row| row.get(1)?.as_deref()?.parse::<u64>().ok());
    // Without the right to see others, a user sees its own sessions, which is what is asked for.
    let user = literal(&probe.preflight.database.user);
    let sql = format!("SELECT count(*) FROM information_schema.PROCESSLIST WHERE USER = {user}");
    let own = probe.session.text("count the sessions", &sql).await?;
    let own = own.and_then(|own| own.parse().ok()).unwrap_or(1);
    let others = all.unwrap_or_default().saturating_sub(own);
    let most = probe.number("max_connections").unwrap_or(u64::MAX);
    if others.saturating_add(needed) <= most {
        return Ok(None);
    }
    let message = format!(
        "max_connections is {most}: others have {others}, and weir's links need up to {needed}"
    );
    let enough = (others + needed).max(most) + SPARE;
    let flavor = probe.session.flavor();
    let change = probe.managed.set(flavor, "max_connections", &enough.to_string(), false);
    Ok(Some(probe.about_database(true, Kind::TooManyConnections, message, change)))
}

/// Sessions within the limit of the account, which the server shows to its sessions.
async fn of_user(probe: &mut Probe<'_>, whole: &Whole) -> Result<Option<Finding>> {
    let needed = needed(whole);
    let sql = "SELECT @@SESSION.max_user_connections";
    let most = probe.session.text("read the account's limit", sql).await?;
    let most = most.and_then(|most| most.parse::<u64>().ok()).filter(|most| *most > 0);
    let Some(most) = most.filter(|most| *most < needed) else { return Ok(None) };
    let message = format!(
        "max_user_connections of the account is {most}, and weir's links need up to {needed}"
    );
    let enough = needed + SPARE;
    let change = by(format!("ALTER USER {} WITH MAX_USER_CONNECTIONS {enough}", probe.account));
    Ok(Some(probe.about_database(true, Kind::TooManyConnections, message, change)))
}

/// Clocks of weir and server.
async fn clock(probe: &mut Probe<'_>) -> Result<Option<Finding>> {
    let before = now_us();
    let there = probe.session.text("read the clock", "SELECT UNIX_TIMESTAMP(SYSDATE(6))").await?;
    let after = now_us();
    let there = there.and_then(|there| there.parse().ok());
    Ok(there.and_then(|there| skew(there, (before, after))).map(|message| {
        let change = by_hand("synchronise both machines' clocks");
        probe.about_database(false, Kind::Setting, message, change)
    }))
}

/// A proxy that answers in the server's name: it carries no binary log, and may send one session's
/// statements to several servers.
fn proxy(probe: &Probe<'_>) -> Option<Finding> {
    let shown = [probe.settings.get("version_comment"), probe.settings.get("version")];
    let name = proxy_of(shown.into_iter().flatten().map(String::as_str))?;
    let message = format!("{name} answers in the server's name: it carries no binary log");
    let change = by_hand("point the database at the server itself");
    Some(probe.about_database(true, Kind::Unsupported, message, change))
}

/// The proxy that one of these texts tells of.
fn proxy_of<'a>(shown: impl Iterator<Item = &'a str>) -> Option<&'static str> {
    const PROXIES: [(&str, &str); 3] =
        [("proxysql", "ProxySQL"), ("maxscale", "MaxScale"), ("rds proxy", "RDS Proxy")];
    let text: String = shown.collect::<Vec<_>>().join(" ").to_lowercase();
    PROXIES.iter().find(|(part, _)| text.contains(part)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a proxy were taken for the server behind it, or a server for a proxy.
    #[test]
    fn proxies_are_recognised() {
        let of = |text: &'static str| proxy_of([text].into_iter());
        assert_eq!(of("(ProxySQL)"), Some("ProxySQL"));
        assert_eq!(of("10.11.6-MariaDB-maxscale"), Some("MaxScale"));
        assert_eq!(of("MySQL Community Server - GPL"), None);
        assert_eq!(of("mariadb.org binary distribution"), None);
    }
}
