//! Which library packages a server needs: a walk over the dependencies, restricted to libraries.
//!
//! Everything else a package depends on (perl, debconf, init scripts) serves its installation, which never happens
//! here. LLVM is left out: it is only PostgreSQL's just-in-time compiler, which is off, and the largest of all.

use std::collections::{BTreeMap, BTreeSet};

use super::apt::Archive;
use crate::sandbox::{Error, Kind, Result};

/// The packages `seeds` and every library package they need; the seeds first.
pub(crate) fn of(archive: &Archive, seeds: &[&str]) -> Result<Vec<String>> {
    let mut arguments = vec!["depends", "--recurse", "--important"];
    arguments.extend(seeds);
    let text = archive.query(&arguments)?;
    let graph = parse(&text);
    if let Some(missing) = seeds.iter().find(|seed| !graph.contains_key(**seed)) {
        return Err(Error::new(Kind::Unavailable, format!("Debian has no {missing} now")));
    }
    Ok(walk(&graph, seeds))
}

fn parse(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut graph: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        if !line.starts_with([' ', '|']) {
            current = line.trim();
            graph.entry(current).or_default();
        } else if let Some((kind, name)) = line.split_once(": ")
            && matches!(kind.trim_start_matches([' ', '|']), "Depends" | "PreDepends")
        {
            graph.entry(current).or_default().push(name.trim());
        }
    }
    graph
}

fn walk(graph: &BTreeMap<&str, Vec<&str>>, seeds: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = seeds.iter().map(|&seed| seed.to_owned()).collect();
    let mut seen: BTreeSet<&str> = seeds.iter().copied().collect();
    let mut queue: Vec<&str> = seeds.to_vec();
    while let Some(package) = queue.pop() {
        for &name in graph.get(package).into_iter().flatten() {
            if is_library(name) && graph.contains_key(name) && seen.insert(name) {
                names.push(name.to_owned());
                queue.push(name);
            }
        }
    }
    names
}

fn is_library(name: &str) -> bool {
    (name.starts_with("lib") || name.starts_with("zlib"))
        && !name.starts_with("libllvm")
        && !name.ends_with("-perl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_followed_and_nothing_else() {
        let text = "server\n  Depends: libssl3\n |Depends: locales\n  Depends: <libvirtual>\n    libx\n  \
                    PreDepends: perl\n  Depends: libllvm14\nlibssl3\n  Depends: zlib1g\nzlib1g\nperl\n  \
                    Depends: libdb5\nlibdb5\nlocales\nlibllvm14\nlibx\n";
        assert_eq!(walk(&parse(text), &["server"]), ["server", "libssl3", "zlib1g"]);
    }
}
