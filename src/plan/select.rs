//! Which links a configuration means, and which tables each of them carries.
//!
//! Names only: nothing here looks at columns. A `[table.*]` comes before the `[[replicate]]` that
//! also matches its table; a table that no rule names is not carried. A rule or name that meets no
//! table is a finding, so that nothing is left out by a typo. Order follows the configuration, and
//! within one `[[replicate]]` the table names, so that plans of one configuration are equal.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::config::{
    Config, Database, Deletes, Dialect, DroppedPartitions, LinkName, OnPoison, Replicate,
    TableMapping, Truncates,
};
use crate::error::Kind;
use crate::model::{Table, TableName};
use crate::plan::naming::Naming;
use crate::plan::{Finding, Selection, Wanted};
use crate::transform::rules::{Look, Settings};

/// A table of a link before its columns are looked at.
#[derive(Clone, Debug)]
pub(crate) struct Chosen<'a> {
    /// Name at the source.
    pub(crate) source: TableName,
    /// Name at the target.
    pub(crate) target: TableName,
    /// The mapping that names it, if one does.
    pub(crate) mapping: Option<&'a TableMapping>,
    /// The replication that matches it, if one does.
    pub(crate) replicate: Option<&'a Replicate>,
}

impl Chosen<'_> {
    /// Whether `source` is master of which rows there are.
    pub(crate) fn owns_rows(&self, source: &str) -> bool {
        let owner = self.mapping.and_then(TableMapping::owner_of_rows);
        owner.is_none_or(|owner| owner == source)
    }

    /// The database that is, where it is not `source`.
    pub(crate) fn row_owner(&self, source: &str) -> Option<&str> {
        let owner = self.mapping.and_then(TableMapping::owner_of_rows);
        owner.filter(|owner| *owner != source)
    }

    /// The mapping's name, where several databases are master of something in the table.
    pub(crate) fn shared(&self) -> Option<&str> {
        self.mapping.filter(|mapping| mapping.is_shared()).map(|mapping| mapping.name.as_str())
    }

    /// What deletes do.
    pub(crate) fn deletes(&self) -> Deletes {
        let own = self.mapping.and_then(|mapping| mapping.deletes);
        own.or(self.replicate.map(|replicate| replicate.deletes)).unwrap_or(Deletes::Apply)
    }

    /// What TRUNCATE does.
    pub(crate) fn truncate(&self) -> Truncates {
        let own = self.mapping.and_then(|mapping| mapping.truncate);
        own.or(self.replicate.map(|replicate| replicate.truncate)).unwrap_or(Truncates::Halt)
    }

    /// What a partition that is dropped or detached does.
    pub(crate) fn dropped_partitions(&self) -> DroppedPartitions {
        let own = self.mapping.and_then(|mapping| mapping.dropped_partitions);
        own.or(self.replicate.map(|replicate| replicate.dropped_partitions))
            .unwrap_or(DroppedPartitions::Halt)
    }

    /// What a change does that the target refuses, where something nearer than the link says it.
    pub(crate) fn on_poison(&self) -> Option<OnPoison> {
        let own = self.mapping.and_then(|mapping| mapping.on_poison);
        own.or(self.replicate.and_then(|replicate| replicate.on_poison))
    }

    /// Where the configuration asks for the table.
    pub(crate) fn at(&self) -> &str {
        match (self.mapping, self.replicate) {
            (Some(mapping), _) => &mapping.at,
            (None, Some(replicate)) => &replicate.at,
            (None, None) => "",
        }
    }
}

/// The links of a configuration, in the order in which they are first meant.
pub fn links(config: &Config) -> Vec<LinkName> {
    let mut links: Vec<LinkName> = Vec::new();
    let mut add = |source: &str, target: &str| {
        let link = LinkName { source: source.to_owned(), target: target.to_owned() };
        if source != target && !links.contains(&link) {
            links.push(link);
        }
    };
    for replicate in &config.replicates {
        add(&replicate.from, &replicate.to);
    }
    for mapping in &config.tables {
        for owner in mapping.owners() {
            for database in mapping.addresses.keys() {
                add(owner, database);
            }
        }
    }
    links
}

/// Whether weir also writes to a table of the source of `link`, on the way back, so that what it wrote is to be
/// told from what applications write.
pub fn is_marked(config: &Config, link: &LinkName) -> bool {
    let holds = |mapping: &TableMapping| {
        [&link.source, &link.target].iter().all(|end| mapping.addresses.contains_key(*end))
    };
    config.tables.iter().any(|mapping| mapping.is_shared() && holds(mapping))
}

/// The tables that steps of `link` look into.
pub fn looks(config: &Config, link: &LinkName) -> BTreeSet<Look> {
    let from_there = config.tables.iter().filter(|one| one.addresses.contains_key(&link.source));
    let steps = from_there.flat_map(|mapping| mapping.steps.values());
    let steps = steps.filter_map(|lists| lists.get(&link.target)).flatten();
    steps.filter_map(|step| step.look().cloned()).collect()
}

/// Which tables of both catalogs the planner of `link` needs to see.
pub fn selection(config: &Config, link: &LinkName) -> (Selection, Selection) {
    let (mut source, mut target) = (Selection::default(), Selection::default());
    let replicates: Vec<_> = replicates(config, link).collect();
    let places = Places::of(config, link);
    for replicate in &replicates {
        for pattern in &replicate.tables {
            source.include.push(pattern.clone());
            let Some((schema, table)) = pattern.split_once('.') else { continue };
            for place in places.pattern(replicate, schema) {
                // What a pattern's tables are called there is known only once they are seen.
                let table = match places.naming {
                    Naming::Keep => Cow::Borrowed(table),
                    _ if table.contains('*') => Cow::Borrowed("*"),
                    naming => naming.apply(table),
                };
                target.include.push(format!("{place}.{table}"));
            }
        }
        for (name, renamed) in &replicate.rename {
            target
                .include
                .push(TableName::new(places.schema(replicate, &name.schema), renamed).to_string());
        }
    }
    for mapping in &config.tables {
        let (Some(here), there) =
            (mapping.addresses.get(&link.source), mapping.addresses.get(&link.target))
        else {
            continue;
        };
        source.include.push(here.to_string());
        let found = replicates.iter().find(|replicate| matches(replicate, here));
        match (there, found) {
            (Some(there), _) => target.include.push(there.to_string()),
            (None, Some(replicate)) => {
                let naming = places.naming_of(mapping);
                target.include.push(places.target_by(naming, replicate, here).to_string())
            }
            (None, None) => {}
        }
    }
    // Exclusions of one rule must not hide what another rule asks for.
    if let [only] = replicates.as_slice()
        && source.include.len() == only.tables.len()
    {
        source.exclude.clone_from(&only.exclude);
    }
    for selection in [&mut source, &mut target] {
        let mut seen = BTreeSet::new();
        selection.include.retain(|pattern| seen.insert(pattern.clone()));
    }
    (source, target)
}

/// Which source tables `link` is to carry, whether they exist or not.
pub(crate) fn wanted(config: &Config, link: &LinkName) -> Wanted {
    let places = Places::of(config, link);
    let mut wanted = Wanted::default();
    for replicate in replicates(config, link) {
        let (include, exclude) = (replicate.tables.clone(), replicate.exclude.clone());
        wanted.rules.push(Selection { include, exclude });
    }
    for mapping in &config.tables {
        let Some(here) = mapping.addresses.get(&link.source) else { continue };
        let rule = replicates(config, link).find(|replicate| matches(replicate, here));
        match named(mapping, rule, here, link, &places) {
            Named::Carried(_) => wanted.named.insert(here.clone()),
            Named::Elsewhere | Named::Relay(_) => wanted.elsewhere.insert(here.clone()),
            Named::Silent => false,
        };
    }
    wanted
}

/// The tables that `link` carries, by name, with everything that is wrong with the rules.
pub(crate) fn choose<'a>(
    config: &'a Config,
    link: &LinkName,
    source_tables: &[Table],
    findings: &mut Vec<Finding>,
) -> Vec<Chosen<'a>> {
    let places = Places::of(config, link);
    let mut names: Vec<&TableName> = source_tables.iter().map(|table| &table.name).collect();
    names.sort_unstable();
    let mut chosen = Vec::new();
    let mut taken: BTreeSet<&TableName> = BTreeSet::new();
    for mapping in &config.tables {
        let Some(here) = mapping.addresses.get(&link.source) else { continue };
        let rule = replicates(config, link).find(|replicate| matches(replicate, here));
        match named(mapping, rule, here, link, &places) {
            Named::Carried(table) => {
                taken.insert(here);
                chosen.push(table);
            }
            Named::Elsewhere => {
                taken.insert(here);
            }
            Named::Relay(owner) => {
                taken.insert(here);
                findings.push(relayed(mapping, here, owner, link));
            }
            Named::Silent => {}
        }
    }
    for replicate in replicates(config, link) {
        unused(replicate, &names, findings);
        for name in names.iter().filter(|name| matches(replicate, name)) {
            if taken.contains(*name) || chosen.iter().any(|other| other.source == **name) {
                continue;
            }
            chosen.push(Chosen {
                source: (*name).clone(),
                target: places.target(replicate, name),
                mapping: None,
                replicate: Some(replicate),
            });
        }
    }
    chosen
}

/// What a mapping says about its table on one link.
enum Named<'a> {
    /// The link carries it.
    Carried(Chosen<'a>),
    /// Another database owns it here.
    Elsewhere,
    /// The mapping says nothing about this link.
    Silent,
    /// Its owner is another database: carrying it on would be a relay.
    Relay(&'a str),
}

fn named<'a>(
    mapping: &'a TableMapping,
    rule: Option<&'a Replicate>,
    here: &TableName,
    link: &LinkName,
    places: &Places<'_>,
) -> Named<'a> {
    let there = mapping.addresses.get(&link.target);
    match (&mapping.owner, there, rule) {
        (Some(_), Some(_), _) if !mapping.owners().any(|owner| owner == link.source) => {
            Named::Elsewhere
        }
        (Some(_), Some(there), _) => Named::Carried(Chosen {
            source: here.clone(),
            target: there.clone(),
            mapping: Some(mapping),
            replicate: rule,
        }),
        (Some(owner), None, Some(_)) if *owner != link.source => Named::Relay(owner),
        // What the mapping does not say comes from the replication that matches.
        (_, there, Some(rule)) => Named::Carried(Chosen {
            source: here.clone(),
            target: there
                .cloned()
                .unwrap_or_else(|| places.target_by(places.naming_of(mapping), rule, here)),
            mapping: Some(mapping),
            replicate: Some(rule),
        }),
        (_, _, None) => Named::Silent,
    }
}

fn relayed(mapping: &TableMapping, here: &TableName, owner: &str, link: &LinkName) -> Finding {
    Finding {
        fatal: true,
        kind: Kind::Mapping,
        subject: format!("{here} ({})", mapping.at),
        message: format!(
            "the table belongs to {owner}, so {} cannot pass it on to {}",
            link.source, link.target
        ),
        hint: format!(
            "name its table on {} in the [table], so that it comes from {owner}, or `exclude` it",
            link.target
        ),
        mend: Vec::new(),
    }
}

/// Findings for patterns and names of a replication that meet no table.
fn unused(replicate: &Replicate, names: &[&TableName], findings: &mut Vec<Finding>) {
    let meets = |pattern: &str| {
        let only = Selection { include: vec![pattern.to_owned()], exclude: Vec::new() };
        names.iter().any(|name| only.matches(name))
    };
    for pattern in replicate.tables.iter().filter(|pattern| !meets(pattern)) {
        findings.push(Finding {
            fatal: true,
            kind: Kind::Mapping,
            subject: format!("{} ({})", pattern, replicate.at),
            message: format!("no table of {} matches the pattern `{pattern}`", replicate.from),
            hint: "correct the pattern, create the table, or grant weir the right to see it"
                .to_owned(),
            mend: Vec::new(),
        });
    }
    for name in replicate.rename.keys().filter(|name| !names.contains(name)) {
        findings.push(Finding {
            fatal: true,
            kind: Kind::Mapping,
            subject: format!("{} ({})", name, replicate.at),
            message: format!("`rename` names a table that {} does not have", replicate.from),
            hint: "correct the name in `rename`".to_owned(),
            mend: Vec::new(),
        });
    }
}

fn replicates<'a>(config: &'a Config, link: &LinkName) -> impl Iterator<Item = &'a Replicate> {
    let link = link.clone();
    config
        .replicates
        .iter()
        .filter(move |replicate| replicate.from == link.source && replicate.to == link.target)
}

fn matches(replicate: &Replicate, name: &TableName) -> bool {
    let patterns =
        Selection { include: replicate.tables.clone(), exclude: replicate.exclude.clone() };
    patterns.matches(name)
}

/// Where tables live on both ends when nothing says otherwise: `public` on PostgreSQL, the
/// connection's database on MySQL and MariaDB.
struct Places<'a> {
    source: &'a str,
    target: &'a str,
    /// How tables are called that nothing names, unless their mapping says it.
    naming: Naming,
    conversion: &'a Settings,
}

impl<'a> Places<'a> {
    fn of(config: &'a Config, link: &LinkName) -> Self {
        let place = |name: &str| config.databases.get(name).map_or("", default_place);
        Places {
            source: place(&link.source),
            target: place(&link.target),
            naming: Naming::of([&config.conversion]),
            conversion: &config.conversion,
        }
    }

    /// The target's schema or database for one of the source's.
    fn schema<'b>(&'b self, replicate: &'b Replicate, schema: &'b str) -> &'b str {
        match &replicate.into {
            Some(into) => into,
            None if schema == self.source => self.target,
            None => schema,
        }
    }

    fn target(&self, replicate: &Replicate, name: &TableName) -> TableName {
        self.target_by(self.naming, replicate, name)
    }

    fn target_by(&self, naming: Naming, replicate: &Replicate, name: &TableName) -> TableName {
        let renamed = replicate.rename.get(name).map(|renamed| Cow::Borrowed(renamed.as_str()));
        let table = renamed.unwrap_or_else(|| naming.apply(&name.table));
        TableName::new(self.schema(replicate, &name.schema), table)
    }

    fn naming_of(&self, mapping: &TableMapping) -> Naming {
        Naming::of([&mapping.conversion, self.conversion])
    }

    /// The target's schema patterns for a schema pattern of the source.
    fn pattern<'b>(&'b self, replicate: &'b Replicate, schema: &'b str) -> Vec<&'b str> {
        if schema.contains('*') && replicate.into.is_none() {
            vec![schema, self.target]
        } else {
            vec![self.schema(replicate, schema)]
        }
    }
}

/// Where the tables of a database are when nothing says otherwise.
pub(crate) fn default_place(database: &Database) -> &str {
    match database.dialect {
        Dialect::Postgres => "public",
        Dialect::Mysql | Dialect::Mariadb => &database.database,
    }
}
