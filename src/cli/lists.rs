//! The tables that the steps of a link look into (`lookup`, `references`): which they are, at which of its
//! databases, the rights that reading them takes, and their rows.

use std::collections::BTreeMap;

use crate::cli::context::Ends;
use crate::config::Database;
use crate::error::{Kind, Result};
use crate::link::lists::read;
use crate::link::ports::{End, Room};
use crate::model::Table;
use crate::plan::{self, Selection};
use crate::transform::rules::{List, Lists, Look};

/// What is known of the tables that are looked into.
#[derive(Default)]
pub(super) struct LookedInto {
    /// What the plan is told of them.
    pub(super) lists: Lists,
    /// The tables that are there, at the source and at the target.
    sources: Vec<Table>,
    targets: Vec<Table>,
}

impl<'a> Ends<'a> {
    /// The end of the link that a step means; by default the one that its values are for.
    fn end_of(&self, look: &Look) -> Result<End, String> {
        let link = self.link();
        match look.database.as_deref() {
            None => Ok(End::Target),
            Some(name) if name == link.target => Ok(End::Target),
            Some(name) if name == link.source => Ok(End::Source),
            Some(name) => Err(format!(
                "`database` is {} or {}, which the link {link} connects, not {name}",
                link.source, link.target
            )),
        }
    }

    fn at(&self, end: End) -> (&'static dyn Room, &'a Database) {
        match end {
            End::Source => (self.source_room(), self.source),
            End::Target => (self.target_room(), self.target),
        }
    }

    /// Patterns of the tables that steps look into at one end.
    fn looked_into(&self, end: End) -> Selection {
        let looks = plan::select::looks(self.config, self.link());
        let here = looks.iter().filter(|look| self.end_of(look) == Ok(end));
        Selection {
            include: here.map(|look| look.table.to_string()).collect(),
            ..Selection::default()
        }
    }

    /// What the planner needs to see of one end, beside what it looks into there.
    pub(super) fn selections(&self) -> (Selection, Selection) {
        let (mut source, mut target) = plan::selection(self.config, self.link());
        source.include.extend(self.looked_into(End::Source).include);
        target.include.extend(self.looked_into(End::Target).include);
        (source, target)
    }

    /// The tables that steps look into, without their rows.
    pub(super) async fn described(&self) -> Result<LookedInto> {
        let looks = plan::select::looks(self.config, self.link());
        let mut into = LookedInto::default();
        for end in [End::Source, End::Target] {
            let wanted = self.looked_into(end);
            if !wanted.include.is_empty() {
                let (room, database) = self.at(end);
                let found = room.catalog(database, database.dialect, &wanted).await?;
                *into.tables_mut(end) = found;
            }
        }
        let lists: BTreeMap<_, _> = looks
            .into_iter()
            .map(|look| {
                let list =
                    self.end_of(&look).and_then(|end| into.described(end, &look, self.at(end).1));
                (look, list)
            })
            .collect();
        into.lists = Lists(lists);
        Ok(into)
    }

    /// Reads their rows.
    ///
    /// # Errors
    /// As [`read`].
    pub(super) async fn look_into(&self, into: &mut LookedInto) -> Result<()> {
        let mut lists = BTreeMap::new();
        for (look, list) in std::mem::take(&mut into.lists.0) {
            let end = self.end_of(&look);
            let table = end.clone().ok().and_then(|end| into.table(end, &look));
            let list = match (list, table, end) {
                (Ok(list), Some(table), Ok(end)) => self.filled(end, table, list).await?,
                (list, ..) => list,
            };
            lists.insert(look, list);
        }
        into.lists = Lists(lists);
        Ok(())
    }

    async fn filled(
        &self,
        end: End,
        table: &Table,
        list: List,
    ) -> Result<std::result::Result<List, String>> {
        let (room, database) = self.at(end);
        match read(room, (&self.context, database), table, list).await {
            Err(error) if error.kind() == Kind::Privilege => {
                let account = room.account(database).await?;
                let grants = room.setup_lists(&account, &[table]).join("; ");
                Err(error.hint(format!("`weir setup` prints what is to be granted: {grants}")))
            }
            filled => filled,
        }
    }

    /// What `weir setup` prints for reading the tables that are looked into at one end.
    pub(super) fn setup_lists(&self, end: End, account: &str, into: &LookedInto) -> Vec<String> {
        let tables: Vec<&Table> = into.tables(end).iter().collect();
        match tables.is_empty() {
            true => Vec::new(),
            false => self.at(end).0.setup_lists(account, &tables),
        }
    }
}

impl LookedInto {
    fn tables(&self, end: End) -> &[Table] {
        match end {
            End::Source => &self.sources,
            End::Target => &self.targets,
        }
    }

    fn tables_mut(&mut self, end: End) -> &mut Vec<Table> {
        match end {
            End::Source => &mut self.sources,
            End::Target => &mut self.targets,
        }
    }

    fn table(&self, end: End, look: &Look) -> Option<&Table> {
        self.tables(end).iter().find(|table| table.name == look.table)
    }

    fn described(&self, end: End, look: &Look, database: &Database) -> Result<List, String> {
        let table = self.table(end, look);
        let none = || format!("there is no table {} at {}", look.table, database.name);
        List::of(look, table.ok_or_else(none)?)
    }
}
