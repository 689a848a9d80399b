//! The tables that a target should have for a link, in the order in which they can be made.
//!
//! Each is the source's table under the names that the configuration gives it at the target, without
//! the columns that are left out. Parents come before the tables that refer to them. Types are the
//! source's: what they become is the room's to say. Nothing is left out in silence.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::config::{Config, Dialect, LinkName};
use crate::model::{Column, ForeignKey, Table, TableName, Unique};
use crate::plan::Finding;
use crate::plan::columns::Draft;
use crate::plan::extras::renamed;
use crate::plan::rank::ranks;
use crate::plan::select::{Chosen, choose};
use crate::plan::stand_ins::{Stand, stand_in};
use crate::transform::rules::{Lists, Step};

/// A table as the target should have it.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// Its name at the source.
    pub source: TableName,
    /// The source's table under the target's names. Its foreign keys are those to tables of the link.
    pub table: Table,
    /// Whether the target has a table of this name.
    pub exists: bool,
    /// Why it cannot be made, in words.
    pub refused: Option<String>,
    /// What it does without, in words.
    pub left_out: Vec<String>,
    /// Every foreign key is to be made, not only those that the link needs.
    pub all_keys: bool,
    /// Columns of moments that are to be held as such (TIMESTAMP), not as the wall clock of UTC.
    pub moments: Vec<usize>,
}

impl Blueprint {
    /// A table to be made as it is, with every foreign key.
    pub fn of(source: &Table, name: TableName) -> Blueprint {
        Blueprint {
            source: source.name.clone(),
            // Whatever partitions the source has, one plain table holds their rows.
            table: Table { name, partitions: Vec::new(), ..source.clone() },
            exists: false,
            refused: None,
            left_out: Vec::new(),
            all_keys: true,
            moments: Vec::new(),
        }
    }

    /// Whether a foreign key is to be made. The link needs those that change rows below the source's
    /// log; any other only has the target refuse what the source took.
    pub fn makes(&self, key: &ForeignKey) -> bool {
        self.all_keys || !key.logged && (key.on_delete.acts() || key.on_update.acts())
    }
}

/// The tables that `link` carries as its target should have them, parents first, with what is wrong
/// with the rules that choose them.
pub fn blueprints(
    config: &Config,
    link: &LinkName,
    source_tables: &[Table],
    target_tables: &[Table],
    all_keys: bool,
) -> (Vec<Blueprint>, Vec<Finding>) {
    let mut findings = Vec::new();
    let chosen = choose(config, link, source_tables, &mut findings);
    let dialect = |name: &str| config.databases.get(name).map(|database| database.dialect);
    let dialects = dialect(&link.source).zip(dialect(&link.target));
    let dialects = dialects.unwrap_or((Dialect::Postgres, Dialect::Postgres));
    // Names and types alone are drawn, for which no table is looked into.
    let (conversion, lists) = (&config.conversion, &Lists::default());
    let drafts: HashMap<&TableName, Draft<'_>> = chosen
        .iter()
        .filter_map(|chosen| {
            let source = source_tables.iter().find(|table| table.name == chosen.source)?;
            Some((
                &source.name,
                Draft { link, dialects, chosen, source, target: source, conversion, lists },
            ))
        })
        .collect();
    let mut made = Vec::new();
    for chosen in &chosen {
        let mut blueprint = match drafts.get(&chosen.source) {
            Some(draft) => draw(draft, &drafts),
            None => absent(chosen),
        };
        blueprint.exists = target_tables.iter().any(|table| table.name == chosen.target);
        blueprint.all_keys = all_keys;
        made.push(blueprint);
    }
    (parents_first(made), findings)
}

fn parents_first(blueprints: Vec<Blueprint>) -> Vec<Blueprint> {
    let tables: Vec<&Table> = blueprints.iter().map(|blueprint| &blueprint.table).collect();
    let ranks = ranks(&tables);
    let mut ranked: Vec<_> = ranks.into_iter().zip(blueprints).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, blueprint)| blueprint).collect()
}

/// A table that only the configuration knows.
fn absent(chosen: &Chosen<'_>) -> Blueprint {
    let table = Table {
        name: chosen.target.clone(),
        columns: Vec::new(),
        uniques: Vec::new(),
        odd_unique_indexes: Vec::new(),
        identity: crate::model::Identity::Nothing,
        foreign_keys: Vec::new(),
        transactional: true,
        unsupported: None,
        partitions: Vec::new(),
        extras: crate::model::Extras::default(),
    };
    let mut blueprint = Blueprint::of(&table, chosen.target.clone());
    blueprint.source = chosen.source.clone();
    blueprint.refused = Some("it does not exist at the source".to_owned());
    blueprint
}

fn draw(draft: &Draft<'_>, drafts: &HashMap<&TableName, Draft<'_>>) -> Blueprint {
    let source = draft.source;
    let mut blueprint = Blueprint::of(source, draft.chosen.target.clone());
    blueprint.refused.clone_from(&source.unsupported);
    let mut places = Vec::new();
    let mut as_is: HashMap<&str, String> = HashMap::new();
    blueprint.table.columns.clear();
    for (at, column) in source.columns.iter().enumerate() {
        let kept = draft.target_name(&column.name).filter(|_| !draft.is_ignored(&column.name));
        places.push(kept.as_ref().map(|_| blueprint.table.columns.len()));
        match kept {
            Some(name) => {
                let mut made = column.clone();
                match typed(draft, &mut made, at) {
                    Stand::Made => {}
                    Stand::Moment => blueprint.moments.push(blueprint.table.columns.len()),
                    Stand::InKey(setting) => {
                        let why = format!("`{setting}` of {}: it is in a key", column.name);
                        blueprint.left_out.push(why);
                    }
                }
                let is_changed = !draft.rules_of(&column.name).0.iter().all(Step::is_setting);
                if !is_changed && made.ty == column.ty {
                    as_is.insert(&column.name, name.clone().into_owned());
                }
                made.name = name.into_owned();
                blueprint.table.columns.push(made);
            }
            None => blueprint.left_out.push(format!("column {}: it is ignored", column.name)),
        }
    }
    let name = |own: &str| as_is.get(own).cloned();
    for column in &mut blueprint.table.columns {
        column.formula = column.formula.as_ref().and_then(|formula| formula.renamed(&name));
    }
    blueprint.table.extras = renamed(&source.extras, &name, &mut blueprint.left_out);
    blueprint.table.uniques = uniques(draft, &places, &mut blueprint.left_out);
    blueprint.table.foreign_keys.clear();
    for key in &source.foreign_keys {
        match foreign_key(draft, key, drafts) {
            Some(key) => blueprint.table.foreign_keys.push(key),
            None => blueprint.left_out.push(format!(
                "foreign key {} to {}: what it refers to is not replicated",
                key.name, key.parent
            )),
        }
    }
    blueprint
}

/// Gives a column the type that `[conversion]` names for it; steps of its own decide alone.
fn typed(draft: &Draft<'_>, column: &mut Column, at: usize) -> Stand {
    let (steps, settings) = draft.rules_of(&column.name);
    if !steps.iter().all(Step::is_setting) {
        return Stand::Made;
    }
    let keys = draft.source.uniques.iter().any(|unique| unique.columns.contains(&at));
    let match_key = draft.chosen.mapping.and_then(|mapping| mapping.key.as_ref());
    let matched = match_key.is_some_and(|names| {
        names.iter().any(|name| draft.is_same(draft.source_column(name), &column.name))
    });
    stand_in(column, draft.dialects, &settings, keys || matched)
}

/// The unique indexes over columns at their new places, and one over the match key.
fn uniques(draft: &Draft<'_>, places: &[Option<usize>], left_out: &mut Vec<String>) -> Vec<Unique> {
    let place = |column: &usize| places.get(*column).copied().flatten();
    let mut uniques = Vec::new();
    for unique in &draft.source.uniques {
        match unique.columns.iter().map(place).collect() {
            Some(columns) => uniques.push(Unique { columns, ..unique.clone() }),
            None => left_out.push(format!("unique index {}: a column is ignored", unique.name)),
        }
    }
    let key = draft.chosen.mapping.and_then(|mapping| mapping.key.as_ref());
    let key: Option<Vec<usize>> = key.and_then(|names| {
        let at = |name: &String| draft.source.column_index(draft.source_column(name));
        names.iter().map(|name| at(name).and_then(|column| place(&column))).collect()
    });
    let is_over = |unique: &Unique, key: &[usize]| {
        unique.columns.len() == key.len() && unique.columns.iter().all(|at| key.contains(at))
    };
    if let Some(columns) = key.filter(|key| !uniques.iter().any(|unique| is_over(unique, key))) {
        uniques.push(Unique { name: "match_key".to_owned(), columns, primary: false });
    }
    uniques
}

fn foreign_key(
    draft: &Draft<'_>,
    key: &ForeignKey,
    drafts: &HashMap<&TableName, Draft<'_>>,
) -> Option<ForeignKey> {
    let parent = drafts.get(&key.parent)?;
    let columns = |draft: &Draft<'_>, names: &[String]| -> Option<Vec<String>> {
        let kept = |name: &String| {
            let found =
                draft.source.columns.iter().find(|column| draft.is_same(&column.name, name));
            let own = &found?.name;
            draft.target_name(own).filter(|_| !draft.is_ignored(own)).map(Cow::into_owned)
        };
        names.iter().map(kept).collect()
    };
    Some(ForeignKey {
        parent: parent.chosen.target.clone(),
        columns: columns(draft, &key.columns)?,
        parent_columns: columns(parent, &key.parent_columns)?,
        ..key.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::schema::Rule;
    use crate::plan::fixtures::{BIGINT, TEXT, column, config, link, mapping, replicate, table};

    fn child(name: &str, parent: &str, columns: Vec<Column>) -> Table {
        let mut made = table("shop", name, columns);
        made.foreign_keys.push(ForeignKey {
            name: format!("{name}_fk"),
            parent: TableName::new("shop", parent),
            columns: vec!["p".into()],
            parent_columns: vec!["id".into()],
            on_delete: Rule::Cascade,
            on_update: Rule::Refuse,
            logged: false,
        });
        made
    }

    /// Broken if a table were made under the source's names where the configuration has others, if
    /// what it does without were not said, or a child came before its parent.
    #[test]
    fn tables_come_with_the_targets_names_parents_first() {
        let int = |name: &str| column(name, BIGINT, "bigint");
        let columns = || vec![int("id"), int("p"), column("note", TEXT, "text")];
        let sources = [
            child("a", "b", columns()),
            table("shop", "b", vec![int("id"), int("no")]),
            child("c", "elsewhere", columns()),
        ];
        let mut renamed = mapping("b", None, &[("my", "shop.b"), ("pg", "public.base")]);
        renamed.columns.insert("id".into(), [("pg".to_owned(), "number".to_owned())].into());
        renamed.key = Some(vec!["no".into()]);
        let mut rule = replicate("my", "pg", &["shop.*"]);
        rule.into = Some("public".into());
        rule.ignore = vec!["note".into()];
        let config = config(vec![rule], vec![renamed]);
        let target = [table("public", "c", columns())];
        let (made, findings) = blueprints(&config, &link("my", "pg"), &sources, &target, false);
        assert!(findings.is_empty(), "{findings:?}");
        let names: Vec<_> = made.iter().map(|one| one.table.name.table.as_str()).collect();
        assert_eq!(names, ["base", "c", "a"]);
        let [base, c, a] = made.as_slice() else { panic!("{made:?}") };
        assert_eq!(base.table.columns[0].name, "number");
        assert_eq!(base.table.uniques[1].columns, [1], "the match key is unique");
        assert!(c.exists && !a.exists);
        assert_eq!(c.left_out.len(), 2, "{:?}", c.left_out);
        assert_eq!(a.left_out, ["column note: it is ignored"]);
        let key = &a.table.foreign_keys[0];
        assert_eq!((key.parent.table.as_str(), key.parent_columns[0].as_str()), ("base", "number"));
        assert!(a.makes(key) && !a.makes(&ForeignKey { logged: true, ..key.clone() }));
    }
}
