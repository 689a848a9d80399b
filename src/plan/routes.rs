//! Where the rows of each table come from and go to, over all links.
//!
//! What a table holds has one master. Two links that write one table would overwrite each other's rows, and
//! links that lead a table's rows back to it would carry each row round for ever. One link's plan
//! shows neither; here all of them are looked at together. Pure.
//!
//! Deliberately not here: chains without a way back, which are in order.

use std::collections::{HashMap, HashSet};

use crate::config::LinkName;
use crate::error::Kind;
use crate::model::TableName;
use crate::plan::{Finding, LinkPlan};

/// A table of a database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Spot {
    /// Whatever tells the database from others.
    place: String,
    table: TableName,
}

/// The way that the rows of one table go on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    link: LinkName,
    from: Spot,
    to: Spot,
    /// The `[table.*]` in which several databases are master of something.
    entry: Option<String>,
}

impl Route {
    /// Whether both carry what their ends are master of in one table, so that nothing is written twice.
    fn shares(&self, other: &Route) -> bool {
        self.entry.is_some() && self.entry == other.entry
    }
}

/// The routes of a plan; `source` and `target` tell the two databases from all others.
pub fn routes(plan: &LinkPlan, [source, target]: [&str; 2]) -> Vec<Route> {
    let spot = |place: &str, table: &TableName| Spot { place: place.into(), table: table.clone() };
    let tables = plan.tables.iter();
    tables
        .map(|table| Route {
            link: plan.link.clone(),
            from: spot(source, &table.source.name),
            to: spot(target, &table.target.name),
            entry: table.entry.clone(),
        })
        .collect()
}

/// What stands against the routes of one link, `ours`, beside those of other links.
pub fn collisions(ours: &[Route], others: &[&Route]) -> Vec<Finding> {
    let mut writers: HashMap<&Spot, Vec<&Route>> = HashMap::new();
    for route in others {
        writers.entry(&route.to).or_default().push(route);
    }
    let mut onward: HashMap<&Spot, Vec<&Route>> = HashMap::new();
    for route in ours.iter().chain(others.iter().copied()) {
        onward.entry(&route.from).or_default().push(route);
    }
    let mut findings = Vec::new();
    for route in ours {
        let mut writers = writers.get(&route.to).into_iter().flatten();
        if let Some(other) = writers.find(|other| !route.shares(other)) {
            findings.push(finding(
                route,
                format!(
                    "table {} is also written by the link {}, from {}",
                    route.to.table, other.link, other.from.table
                ),
                "a table has one master: `exclude` it from one of the two links",
            ));
        }
        if let Some(back) = way_back(route, &onward) {
            let way: Vec<String> = back.iter().map(|route| route.link.to_string()).collect();
            findings.push(finding(
                route,
                format!("its rows would come back to it, on {}", way.join(", then ")),
                "`exclude` the table from one of these links: from the one that leads back to its \
                 master",
            ));
        }
    }
    findings
}

/// What [`collisions`] finds for each of these links, in their order.
pub fn meeting<'r>(links: impl Iterator<Item = &'r [Route]>) -> Vec<Vec<Finding>> {
    let links: Vec<&[Route]> = links.collect();
    let others = |ours: usize| {
        let others = links.iter().enumerate().filter(|(index, _)| *index != ours);
        others.flat_map(|(_, routes)| routes.iter()).collect::<Vec<&Route>>()
    };
    links.iter().enumerate().map(|(index, ours)| collisions(ours, &others(index))).collect()
}

fn finding(route: &Route, message: String, hint: &str) -> Finding {
    Finding {
        fatal: true,
        kind: Kind::Mapping,
        subject: format!("{} -> {} ({})", route.from.table, route.to.table, route.link),
        message,
        hint: hint.to_owned(),
        mend: Vec::new(),
    }
}

/// The shortest way, over other links, that leads from where `first` ends to where it begins.
fn way_back<'r>(
    first: &Route,
    onward: &HashMap<&'r Spot, Vec<&'r Route>>,
) -> Option<Vec<&'r Route>> {
    let mut seen: HashSet<&Spot> = HashSet::from([&first.to]);
    let mut ways: Vec<Vec<&'r Route>> = vec![Vec::new()];
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let end = way.last().map_or(&first.to, |route| &route.to);
            for route in onward
                .get(end)
                .into_iter()
                .flatten()
                .filter(|next| next.link != first.link && !next.shares(first))
            {
                let way: Vec<&Route> = way.iter().copied().chain([*route]).collect();
                if route.to == first.from {
                    return Some(way);
                }
                if seen.insert(&route.to) {
                    longer.push(way);
                }
            }
        }
        ways = longer;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(from: (&str, &str), to: (&str, &str)) -> Route {
        let spot = |(place, table): (&str, &str)| Spot {
            place: place.into(),
            table: TableName::new("s", table),
        };
        let link = LinkName { source: from.0.into(), target: to.0.into() };
        Route { link, from: spot(from), to: spot(to), entry: None }
    }

    fn messages(ours: &[Route], others: &[Route]) -> Vec<String> {
        let others: Vec<&Route> = others.iter().collect();
        collisions(ours, &others).into_iter().map(|finding| finding.message).collect()
    }

    /// Broken if two links could overwrite each other's rows without a word.
    #[test]
    fn a_table_is_written_by_one_link() {
        let ours = [route(("a", "t"), ("h", "t"))];
        let told = messages(&ours, &[route(("b", "u"), ("h", "t"))]);
        assert_eq!(told, ["table s.t is also written by the link b:h, from s.u"]);
        // Another table there, and the same name elsewhere, are nobody's concern.
        let apart = [route(("b", "t"), ("h", "u")), route(("b", "u"), ("c", "t"))];
        assert_eq!(messages(&ours, &apart), [""; 0]);
    }

    /// Broken if one insert could go round for ever.
    #[test]
    fn rows_never_come_back_to_their_table() {
        let ours = [route(("a", "t"), ("b", "t"))];
        let two = [route(("b", "t"), ("a", "t"))];
        assert_eq!(messages(&ours, &two), ["its rows would come back to it, on b:a"]);
        let ring = [
            route(("b", "t"), ("d", "u")),
            route(("b", "t"), ("c", "t")),
            route(("c", "t"), ("a", "t")),
        ];
        assert_eq!(messages(&ours, &ring), ["its rows would come back to it, on b:c, then c:a"]);
    }

    /// Broken if a chain, or a ring that other links make further on, stopped a link that has no
    /// part in it, or the look for a way back did not end.
    #[test]
    fn chains_and_the_rings_of_others_do_not_concern_a_link() {
        let ours = [route(("a", "t"), ("b", "t"))];
        let onward = [
            route(("b", "t"), ("c", "t")),
            route(("c", "t"), ("d", "t")),
            route(("d", "t"), ("c", "u")),
            route(("c", "u"), ("d", "u")),
            route(("d", "u"), ("c", "t")),
        ];
        assert_eq!(messages(&ours, &onward), [""; 0]);
    }
}
