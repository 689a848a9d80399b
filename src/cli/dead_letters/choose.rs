//! Which letters `retry` and `discard` mean: by their numbers, or by what they have in common.
//!
//! A number is one of a link's target, so two links may have the same. Where more than one link could
//! be meant the link must be named; where that cannot be told, nothing is done.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::family::{Families, Name, name_of};
use super::letter::is_of;
use super::reading::{Pages, excuse, letter, open};
use crate::cli::args::{Choice, Filter, LetterName, Word};
use crate::cli::context::links;
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{Letters, StoredLetter};

/// What a link that is named alone means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alone {
    /// All its letters.
    All,
    /// Too little said.
    Nothing,
}

/// What is chosen of a link.
pub(super) struct Chosen {
    pub(super) link: LinkName,
    pub(super) letters: Box<dyn Letters>,
    pick: Pick,
}

/// Letters that are chosen, and those that hang together with them.
pub(super) struct Scope {
    pub(super) families: Families,
    pub(super) rows: HashSet<Name>,
}

impl Scope {
    /// How many of the rows have letters; others are former keys of such.
    pub(super) fn with_letters(&self) -> usize {
        self.families.with_letters(&self.rows)
    }

    /// Of each row of a page that is meant and was not met before, the first letter.
    pub(super) fn met(
        &self,
        page: Vec<StoredLetter>,
        met: &mut HashSet<Name>,
    ) -> Vec<StoredLetter> {
        let mut first = page;
        first.retain(|letter| {
            let name = name_of(&letter.table, &letter.row);
            self.rows.contains(&name) && met.insert(name)
        });
        first
    }
}

enum Pick {
    Ids(BTreeSet<u64>),
    By(Filter),
}

/// The links that a choice may concern.
pub(super) fn concerned(config: &Config, choice: &Choice) -> Result<Vec<LinkName>> {
    let named: Vec<LinkName> = choice.words.iter().filter_map(link_of).cloned().collect();
    let found = links(config, &named)?;
    let all_named = choice.words.iter().all(|word| link_of(word).is_some());
    Ok(if all_named { found } else { links(config, &[])? })
}

/// What a choice means, link by link, and whether that is all of it: a link whose letters cannot be
/// read is excused where others are chosen by what they have in common.
pub(super) async fn chosen(
    config: &Config,
    choice: &Choice,
    alone: Alone,
) -> Result<(Vec<Chosen>, bool)> {
    let letters: Vec<&LetterName> = choice.words.iter().filter_map(letter_of).collect();
    let filter = &choice.filter;
    let filtered = choice.all || filter.table.is_some() || filter.kind.is_some();
    let mut named: Vec<LinkName> = Vec::new();
    for word in &choice.words {
        if let Word::Link(link) = word
            && !named.contains(link)
        {
            named.push(link.clone());
        }
    }
    match (letters.is_empty(), filtered) {
        (false, true) => Err(usage("letters are named and also chosen by options")),
        (false, false) => Ok((by_number(config, &letters, &named).await?, true)),
        (true, true) => by_filter(config, &named, filter).await,
        (true, false) if alone == Alone::All && !named.is_empty() => {
            by_filter(config, &named, filter).await
        }
        (true, false) => Err(usage("no letter is chosen")),
    }
}

impl Chosen {
    /// The rows that are meant.
    pub(super) async fn scope(&mut self) -> Result<Scope> {
        let mut families = Families::default();
        let mut picked = HashSet::new();
        let mut pages = Pages::of(self.letters.as_mut());
        while let Some(page) = pages.next().await? {
            for letter in &page {
                families.add(letter);
                if self.pick.takes(letter) {
                    picked.insert(name_of(&letter.table, &letter.row));
                }
            }
        }
        let rows = families.whole(picked);
        Ok(Scope { families, rows })
    }
}

impl Pick {
    fn takes(&self, letter: &StoredLetter) -> bool {
        match self {
            Pick::Ids(ids) => ids.contains(&letter.id),
            Pick::By(filter) => meets(filter, letter),
        }
    }
}

/// Whether a letter is one that a filter lets pass.
pub(super) fn meets(filter: &Filter, letter: &StoredLetter) -> bool {
    filter.table.as_ref().is_none_or(|pattern| is_of(letter, pattern))
        && filter.kind.as_ref().is_none_or(|kind| *kind == letter.reason.kind)
}

fn link_of(word: &Word) -> Option<&LinkName> {
    match word {
        Word::Link(link) => Some(link),
        Word::Letter(letter) => letter.link.as_ref(),
    }
}

fn letter_of(word: &Word) -> Option<&LetterName> {
    match word {
        Word::Link(_) => None,
        Word::Letter(letter) => Some(letter),
    }
}

fn usage(what: &str) -> Error {
    Error::new(Kind::Configuration, what)
        .hint("name letters (17, or crm:billing/17), or choose them by --all, --table or --kind")
}

async fn by_filter(
    config: &Config,
    named: &[LinkName],
    filter: &Filter,
) -> Result<(Vec<Chosen>, bool)> {
    let (mut found, mut whole) = (Vec::new(), true);
    for link in links(config, named)? {
        match open(config, &link).await {
            Ok(letters) => {
                found.push(Chosen { link, letters, pick: Pick::By(filter.clone()) });
            }
            Err(error) => {
                excuse(&link, &error);
                whole = false;
            }
        }
    }
    Ok((found, whole))
}

async fn by_number(
    config: &Config,
    letters: &[&LetterName],
    named: &[LinkName],
) -> Result<Vec<Chosen>> {
    let mut found: BTreeMap<LinkName, (Box<dyn Letters>, BTreeSet<u64>)> = BTreeMap::new();
    for name in letters {
        let link = holder(config, name, named, &mut found).await?;
        if let Some((_, ids)) = found.get_mut(&link) {
            ids.insert(name.id);
        }
    }
    found.retain(|_, (_, ids)| !ids.is_empty());
    let found = found.into_iter();
    Ok(found.map(|(link, (letters, ids))| Chosen { link, letters, pick: Pick::Ids(ids) }).collect())
}

/// The one link that has a letter of this name.
pub(super) async fn holder(
    config: &Config,
    name: &LetterName,
    named: &[LinkName],
    opened: &mut BTreeMap<LinkName, (Box<dyn Letters>, BTreeSet<u64>)>,
) -> Result<LinkName> {
    let candidates = match &name.link {
        Some(link) => links(config, std::slice::from_ref(link))?,
        None => links(config, named)?,
    };
    let mut holders = Vec::new();
    for link in &candidates {
        let looked = async {
            if !opened.contains_key(link) {
                opened.insert(link.clone(), (open(config, link).await?, BTreeSet::new()));
            }
            match opened.get_mut(link) {
                Some((letters, _)) => letter(letters.as_mut(), name.id).await,
                None => Ok(None),
            }
        };
        match looked.await {
            Ok(Some(_)) => holders.push(link.clone()),
            Ok(None) => {}
            Err(error) if candidates.len() > 1 => {
                let context = format!("whether {link} has a letter {} cannot be told", name.id);
                return Err(error.within(context).hint(format!(
                    "make sure that its target is up and reachable, or name the link: LINK/{}",
                    name.id
                )));
            }
            Err(error) => return Err(error),
        }
    }
    match holders.as_slice() {
        [only] => Ok(only.clone()),
        [] => {
            let places: Vec<String> = candidates.iter().map(ToString::to_string).collect();
            let context = format!("there is no letter {} of {}", name.id, places.join(", "));
            Err(Error::new(Kind::Configuration, context).hint("`weir dead-letters list` names all"))
        }
        several => {
            let names: Vec<_> = several.iter().map(|link| format!("{link}/{}", name.id)).collect();
            let context = format!("there is more than one letter {}", name.id);
            Err(Error::new(Kind::Configuration, context)
                .hint(format!("name one of {}", names.join(", "))))
        }
    }
}
