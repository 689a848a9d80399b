//! What the verbs share: the configuration, the links asked for, both catalogs and the plan of a
//! link.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::cli::args::Global;
use crate::cli::lists::LookedInto;
use crate::config::{
    self, ApplyOptions, Config, Database, LinkName, Replicate, Secret, TableMapping, show_duration,
    show_rate, show_size,
};
use crate::error::{Error, Kind, Result};
use crate::link::hosts;
use crate::link::ports::{End, LinkContext, Room};
use crate::model::{Table, Witness};
use crate::plan::explain::digest_of;
use crate::plan::{self, Finding, LinkPlan, TablePlan};
use crate::rooms::room;

/// Loads the configuration; every problem at once becomes one error of kind `Configuration`.
pub(super) fn load(global: &Global) -> Result<Config> {
    config::load(global.config.as_deref()).map_err(Error::from)
}

/// The same configuration with every database of the links at the one host that is used. Where none
/// can be chosen the first stays, and what is wrong with it is found out there.
pub(super) async fn settled(mut config: Config, links: &[LinkName]) -> Config {
    for database in config.databases.values_mut() {
        let reads = links.iter().any(|link| link.source == database.name);
        let writes = links.iter().any(|link| link.target == database.name);
        if !reads && !writes || database.others.is_empty() {
            continue;
        }
        let end = if writes { End::Target } else { End::Source };
        match hosts::choose(room(database.dialect), database, end).await {
            Ok(choice) => *database = choice.used,
            Err(error) => {
                tracing::warn!(
                    database = database.name,
                    error = error.chain(),
                    "the first is used"
                );
                database.others.clear();
            }
        }
    }
    config
}

/// The links named, or all of the configuration.
pub(super) fn links(config: &Config, named: &[LinkName]) -> Result<Vec<LinkName>> {
    let all = plan::links(config);
    if let Some(unknown) = named.iter().find(|link| !all.contains(link)) {
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        return Err(Error::new(Kind::Configuration, format!("there is no link {unknown}"))
            .hint(format!("the configuration has: {}", known.join(", "))));
    }
    Ok(if named.is_empty() { all } else { named.to_vec() })
}

/// Refuses the name of a database that the configuration does not have.
pub(super) fn known(config: &Config, database: Option<&str>) -> Result<()> {
    match database {
        Some(name) if !config.databases.contains_key(name) => {
            let names: Vec<&str> = config.databases.keys().map(String::as_str).collect();
            let unknown = Error::new(Kind::Configuration, format!("there is no database `{name}`"));
            Err(unknown.hint(format!("the configuration has: {}", names.join(", "))))
        }
        _ => Ok(()),
    }
}

/// One link with its two ends.
pub(super) struct Ends<'a> {
    pub(super) config: &'a Config,
    pub(super) context: LinkContext,
    pub(super) source: &'a Database,
    pub(super) target: &'a Database,
}

/// Both catalogs of a link, as far as it needs them.
pub(super) struct Catalogs {
    pub(super) source: Vec<Table>,
    pub(super) target: Vec<Table>,
    /// What steps look into.
    pub(super) into: LookedInto,
}

impl<'a> Ends<'a> {
    /// The ends of `link`.
    pub(super) fn of(config: &'a Config, link: &LinkName, seed: &str) -> Result<Ends<'a>> {
        let database = |name: &str| {
            config.databases.get(name).ok_or_else(|| {
                Error::new(Kind::Configuration, format!("there is no database `{name}`"))
            })
        };
        let source = database(&link.source)?;
        let target = database(&link.target)?;
        let server_id = match source.server_id {
            Some(first) => first.saturating_add(number_among_siblings(config, link)),
            None => replica_id(seed, link),
        };
        let (name, link, installation) = (config.name.clone(), link.clone(), seed.to_owned());
        let context = LinkContext { name, link, server_id, installation };
        Ok(Ends { config, context, source, target })
    }

    pub(super) fn link(&self) -> &LinkName {
        &self.context.link
    }

    pub(super) fn source_room(&self) -> &'static dyn Room {
        room(self.source.dialect)
    }

    pub(super) fn target_room(&self) -> &'static dyn Room {
        room(self.target.dialect)
    }

    /// Reads both catalogs, and the rows of the tables that steps look into.
    pub(super) async fn catalogs(&self) -> Result<Catalogs> {
        let mut catalogs = self.described_catalogs().await?;
        self.look_into(&mut catalogs.into).await?;
        Ok(catalogs)
    }

    /// Reads both catalogs and no row: enough to say which rights are needed, and which tables are meant.
    pub(super) async fn described_catalogs(&self) -> Result<Catalogs> {
        let (wanted, place) = plan::selection(self.config, self.link());
        let source = self.source_room().catalog(self.source, self.source.dialect, &wanted).await?;
        let target = self.target_room().catalog(self.target, self.target.dialect, &place).await?;
        Ok(Catalogs { source, target, into: self.described().await? })
    }

    /// The link's witness in the target; `None` too where the tables of weir are not there yet.
    pub(super) async fn witness(&self) -> Result<Option<Witness>> {
        let lock_timeout = self.config.options(self.link()).lock_timeout;
        let (room, plan) = (self.target_room(), Arc::new(self.no_tables()));
        let read = async {
            let target = room.open_target(&self.context, self.target, plan, lock_timeout).await?;
            { target }.read_witness().await
        };
        match read.await {
            Err(error) if error.kind() == Kind::Mapping => Ok(None),
            read => read,
        }
    }

    /// A plan of no table, for what is not about tables.
    pub(super) fn no_tables(&self) -> LinkPlan {
        let dialects = [self.source.dialect, self.target.dialect];
        LinkPlan::of_no_table(self.link().clone(), dialects)
    }

    /// What `weir setup` prints for the source and these of its tables.
    pub(super) fn setup_source(&self, account: &str, tables: &[&Table]) -> Vec<String> {
        let (selection, room) = (self.selections().0, self.source_room());
        let mut statements = room.setup_entry(self.source, account, &selection.schemas());
        let marked = plan::is_marked(self.config, self.link());
        statements.extend(room.setup_source(&self.context, self.source, account, tables, marked));
        statements
    }

    /// What `weir setup` prints for the target of these tables.
    pub(super) fn setup_target(&self, account: &str, tables: &[&TablePlan]) -> Vec<String> {
        let unfilled: Vec<_> = tables.iter().flat_map(|table| table.unfilled()).collect();
        let tables: Vec<&Table> = tables.iter().map(|table| &table.target).collect();
        let (selection, room) = (self.selections().1, self.target_room());
        let mut statements = room.setup_entry(self.target, account, &selection.schemas());
        statements.extend(room.setup_target(account, &tables, &unfilled));
        statements
    }

    /// Compiles the plan.
    pub(super) fn plan(&self, catalogs: &Catalogs) -> Result<LinkPlan, Vec<Finding>> {
        let tables = [catalogs.source.as_slice(), &catalogs.target];
        plan::planner::plan_with(self.config, self.link(), tables, &catalogs.into.lists)
    }
}

/// The options of a link and what is written of its two ends, to be told from those of another
/// configuration. Secrets are not in it: only where they are found.
pub(super) fn settings(config: &Config, link: &LinkName) -> BTreeMap<String, String> {
    // Where a link starts is of no account once it has started. All others are named, so that none
    // can be forgotten here.
    let ApplyOptions {
        start: _,
        batch_rows_max,
        batch_bytes_max,
        queue_bytes_max,
        streaming,
        spool_bytes_max,
        lock_timeout,
        retry_initial,
        retry_max,
        idle_witness_every,
        on_poison,
        dead_letters_max,
        dead_letters_rate_max,
        max_rows_per_second,
        copy_readers,
    } = config.options(link);
    let mut settings = BTreeMap::new();
    let mut set = |key: String, value: String| {
        settings.insert(key, value);
    };
    for (key, value) in [
        ("batch_rows_max", batch_rows_max.to_string()),
        ("batch_bytes_max", show_size(*batch_bytes_max)),
        ("queue_bytes_max", show_size(*queue_bytes_max)),
        ("streaming", format!("{streaming:?}").to_lowercase()),
        ("spool_bytes_max", show_size(*spool_bytes_max)),
        ("lock_timeout", show_duration(*lock_timeout)),
        ("retry_initial", show_duration(*retry_initial)),
        ("retry_max", show_duration(*retry_max)),
        ("idle_witness_every", show_duration(*idle_witness_every)),
        ("on_poison", format!("{on_poison:?}").to_lowercase()),
        ("dead_letters_max", dead_letters_max.to_string()),
        ("dead_letters_rate_max", show_rate(*dead_letters_rate_max)),
        ("copy_readers", copy_readers.to_string()),
        (
            "max_rows_per_second",
            max_rows_per_second.map_or("no limit".to_owned(), |rows| rows.to_string()),
        ),
    ] {
        set(key.to_owned(), value);
    }
    for database in [&link.source, &link.target].into_iter().filter_map(|n| config.databases.get(n))
    {
        let Database { name, dialect, user, database: place, tls, .. } = database;
        // The digest tells what is not written out here.
        let digest = digest_of([format!("{database:?}").as_str()]);
        let digest = digest.get(..8).unwrap_or_default();
        let at = format!("{dialect} {user}@{}/{place} ({digest})", database.listens_at());
        set(format!("database {name}"), at);
        set(format!("tls of {name}"), format!("{} {:?} {:?}", tls.mode, tls.ca, tls.identity));
        let password = found_at(database.password.as_ref());
        set(format!("password of {name}"), password);
    }
    set("rules".to_owned(), rules(config, link));
    if let Some(first) = config.databases.get(&link.source).and_then(|source| source.server_id) {
        let id = first.saturating_add(number_among_siblings(config, link));
        set("server_id".to_owned(), id.to_string());
    }
    settings
}

/// Where a password is found.
fn found_at(password: Option<&Secret>) -> String {
    match password {
        None => "none".to_owned(),
        Some(Secret::Env(variable)) => format!("variable {variable}"),
        Some(Secret::File(path)) => format!("file {}", path.display()),
        // Its arguments may be nobody's business.
        Some(Secret::Command(words)) => {
            format!("command {}", digest_of(words.iter().map(String::as_str)))
        }
    }
}

/// A digest of the rules that may concern a link, wherever they stand in the files: one that has no
/// effect now has one when a table is altered.
fn rules(config: &Config, link: &LinkName) -> String {
    let mut texts = Vec::new();
    for rule in &config.replicates {
        if rule.from == link.source && rule.to == link.target {
            texts.push(format!("{:?}", Replicate { at: String::new(), ..rule.clone() }));
        }
    }
    if !config.conversion.0.is_empty() {
        texts.push(format!("{:?}", config.conversion));
    }
    for table in config.tables.iter().filter(|table| table.addresses.contains_key(&link.source)) {
        texts.push(format!("{:?}", TableMapping { at: String::new(), ..table.clone() }));
    }
    digest_of(texts.iter().map(String::as_str))
}

/// How many links of the same source come before this one: each has a capture of its own, and
/// needs a replica server id of its own.
fn number_among_siblings(config: &Config, link: &LinkName) -> u32 {
    let siblings = plan::links(config).into_iter().filter(|other| other.source == link.source);
    siblings.take_while(|other| other != link).fold(0, |number, _| number + 1)
}

/// The replica server id of a link: in the upper half of the range, where people rarely choose
/// one; the same at every start of one installation, another for each link and installation.
fn replica_id(seed: &str, link: &LinkName) -> u32 {
    0x8000_0000 | crc32fast::hash(format!("{seed} {link}").as_bytes())
}

/// How many findings one message tells; `weir check` tells all.
const SAID_MAX: usize = 5;

/// Findings as one error, with the first one's hint and the others named. Its kind is the first one
/// that is about more than the configuration, if any is.
pub(super) fn refused(link: &LinkName, findings: &[Finding]) -> Error {
    let fatal: Vec<_> = findings.iter().filter(|finding| finding.refuses_to_run()).collect();
    let said = |finding: &&Finding| format!("{}: {}", finding.subject, finding.message);
    let mut text = fatal.iter().take(SAID_MAX).map(said).collect::<Vec<_>>().join("; ");
    if let Some(more @ 1..) = fatal.len().checked_sub(SAID_MAX) {
        text.push_str(&format!("; and {more} more"));
    }
    let beyond = fatal.iter().find(|finding| finding.kind != Kind::Configuration);
    let kind = beyond.or(fatal.first()).map_or(Kind::Mapping, |finding| finding.kind);
    let mut hints: Vec<String> = fatal.iter().map(|finding| finding.advice()).collect();
    hints.dedup();
    let hint = match hints.as_slice() {
        [only] => only.clone(),
        [first, ..] => format!("{first}; `weir check {link}` says what to do about the others"),
        [] => Kind::Mapping.hint().to_owned(),
    };
    Error::new(kind, text).hint(hint)
}
