//! Which tables each running link reads and writes, as far as they are known.
//!
//! A link claims its tables at each attempt; one whose rows would meet those of another link, or
//! come back to where they are from, is told so and halts, while the other goes on. Databases are
//! told apart by their names in the configuration and by what the servers say they are, so a second
//! name for one server is seen too. A claim holds, also while its link stands still, until the link
//! is configured anew or ends.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::config::LinkName;
use crate::error::{Error, Result};
use crate::plan::{LinkPlan, Route, collisions, routes};

/// The routes of a link, once by the names of its databases and once by what the servers say.
type Claim = [Vec<Route>; 2];

/// The tables of all links of a process.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<BTreeMap<LinkName, Claim>>);

impl Claims {
    /// Claims the tables of `plan`; `instances` is what source and target say they are.
    ///
    /// # Errors
    /// Where they collide with those of another link; then nothing is claimed.
    pub(super) fn claim(&self, plan: &LinkPlan, [source, target]: [&str; 2]) -> Result<()> {
        let link = &plan.link;
        let claim = [routes(plan, [&link.source, &link.target]), routes(plan, [source, target])];
        let mut claims = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (side, ours) in claim.iter().enumerate() {
            let others = claims.iter().filter(|(other, _)| *other != link);
            let others: Vec<&Route> = others.flat_map(|(_, claim)| &claim[side]).collect();
            if let Some(finding) = collisions(ours, &others).into_iter().next() {
                let context = format!("{}: {}", finding.subject, finding.message);
                return Err(Error::new(finding.kind, context).hint(finding.hint));
            }
        }
        claims.insert(link.clone(), claim);
        Ok(())
    }

    /// Forgets what `link` has claimed.
    pub(super) fn release(&self, link: &LinkName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Dialect;
    use crate::error::Kind;
    use crate::plan::fixtures::{self, TEXT};

    fn plan(from: &str, to: &str) -> LinkPlan {
        let mut config =
            fixtures::config(vec![fixtures::replicate(from, to, &["s.*"])], Vec::new());
        for name in [from, to] {
            config.databases.insert(name.into(), fixtures::database(name, Dialect::Postgres));
        }
        let table = fixtures::table("s", "t", vec![fixtures::column("id", TEXT, "text")]);
        let tables = [table];
        crate::plan::plan(&config, &fixtures::link(from, to), &tables, &tables).expect("a plan")
    }

    /// Broken if two running links could write one table, also by two names of one server, or a
    /// link that was configured anew still kept others from its former tables.
    #[test]
    fn a_table_is_claimed_once() {
        let claims = Claims::default();
        claims.claim(&plan("a", "h"), ["A", "H"]).expect("the first");
        claims.claim(&plan("a", "h"), ["A", "H"]).expect("the same link again");
        let second = claims.claim(&plan("b", "h"), ["B", "H'"]).expect_err("the same name");
        assert_eq!(second.kind(), Kind::Mapping);
        claims.claim(&plan("b", "k"), ["B", "H"]).expect_err("the same server");
        claims.claim(&plan("b", "k"), ["B", "K"]).expect("another server");
        claims.release(&fixtures::link("a", "h"));
        claims.claim(&plan("c", "h"), ["C", "H"]).expect("free again");
    }
}
