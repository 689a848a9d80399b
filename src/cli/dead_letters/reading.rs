//! The letters of a link, page by page.

use crate::cli::context::Ends;
use crate::cli::hint;
use crate::cli::output::complain;
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::ports::{Letters, StoredLetter};

/// Letters of a page: one of them may hold 256 KiB of a change, and most hold little.
const PAGE: usize = 100;
const PAGE_OF_SMALL: usize = 500;
/// Bytes of a page of small letters at most, for the next one to be of such too.
const SMALL_BYTES_MAX: usize = 2 << 20;

/// Connects to the letters of a link.
pub(super) async fn open(config: &Config, link: &LinkName) -> Result<Box<dyn Letters>> {
    let ends = Ends::of(config, link, &config.name)?;
    let opened = ends.target_room().open_letters(&ends.context, ends.target).await;
    opened.map_err(|error| error.within(format!("the letters of {link}")))
}

/// Letters, oldest first.
pub(super) struct Pages<'a> {
    letters: &'a mut dyn Letters,
    after: u64,
    limit: usize,
    ended: bool,
}

impl<'a> Pages<'a> {
    /// All letters.
    pub(super) fn of(letters: &'a mut dyn Letters) -> Pages<'a> {
        Pages::from(letters, 0)
    }

    /// Those with this number and higher ones.
    pub(super) fn from(letters: &'a mut dyn Letters, first: u64) -> Pages<'a> {
        Pages { letters, after: first.saturating_sub(1), limit: PAGE, ended: false }
    }

    /// The next page, of one letter at least.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<StoredLetter>>> {
        if self.ended {
            return Ok(None);
        }
        let page = self.letters.list(self.after, self.limit).await?;
        self.ended = page.len() < self.limit;
        let bytes: usize = page.iter().map(|letter| letter.change.len() + letter.row.len()).sum();
        self.limit = if bytes < SMALL_BYTES_MAX { PAGE_OF_SMALL } else { PAGE };
        let Some(last) = page.last() else { return Ok(None) };
        if last.id <= self.after {
            let context = format!("letters after {} end with {}", self.after, last.id);
            return Err(Error::new(Kind::Internal, context));
        }
        self.after = last.id;
        Ok(Some(page))
    }
}

/// The letter of this number, if the link has it.
pub(super) async fn letter(letters: &mut dyn Letters, id: u64) -> Result<Option<StoredLetter>> {
    let Some(before) = id.checked_sub(1) else { return Ok(None) };
    Ok(letters.list(before, 1).await?.into_iter().find(|letter| letter.id == id))
}

/// Says what is wrong with one link, while the verb goes on with the others.
pub(in crate::cli) fn excuse(link: &LinkName, error: &Error) {
    complain!("weir: {link}: {}", error.chain());
    complain!("  hint: {}", hint(error).replace("LINK", &link.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dead_letters::letter::tests::letter as made;
    use crate::link::ports::Pending;

    /// Letters in memory; `stuck` ones come again whatever was read.
    struct Memory {
        letters: Vec<StoredLetter>,
        asked: Vec<usize>,
        stuck: bool,
    }

    impl Letters for Memory {
        fn list(&mut self, after: u64, limit: usize) -> Pending<'_, Vec<StoredLetter>> {
            self.asked.push(limit);
            let after = if self.stuck { 0 } else { after };
            let found = self.letters.iter().filter(|one| one.id > after).take(limit).cloned();
            let found = found.collect();
            Box::pin(async { Ok(found) })
        }

        fn ask<'a>(&'a mut self, _: &'a [(String, String)]) -> Pending<'a, u64> {
            Box::pin(async { Ok(0) })
        }

        fn discard<'a>(&'a mut self, _: &'a [(String, String)]) -> Pending<'a, u64> {
            Box::pin(async { Ok(0) })
        }
    }

    async fn read(letters: &mut Memory) -> Result<Vec<u64>> {
        let (mut ids, mut pages) = (Vec::new(), Pages::of(letters));
        while let Some(page) = pages.next().await? {
            ids.extend(page.iter().map(|letter| letter.id));
        }
        Ok(ids)
    }

    fn some(ids: impl Iterator<Item = u64>, change: &str) -> Memory {
        let with = |id| StoredLetter { change: change.to_owned(), ..made(id, "a") };
        Memory { letters: ids.map(with).collect(), asked: Vec::new(), stuck: false }
    }

    /// Broken if letters behind a full page were never seen, large ones were held by the hundreds, or a
    /// target that answers the same again and again held the verb for ever.
    #[tokio::test]
    async fn pages_go_on_to_the_end() {
        for count in [0, 1, 99, 100, 101, 599, 600, 601, 1700] {
            // Numbers have gaps.
            let ids: Vec<u64> = (1..=count).map(|id| id * 3).collect();
            let mut small = some(ids.iter().copied(), "{}");
            assert_eq!(read(&mut small).await.unwrap(), ids);
            assert!(small.asked.iter().skip(1).all(|limit| *limit == PAGE_OF_SMALL));
        }
        let mut large = some(1..=300, &"x".repeat(30_000));
        assert_eq!(read(&mut large).await.unwrap().len(), 300);
        assert!(large.asked.iter().all(|limit| *limit == PAGE), "{:?}", large.asked);
        let mut stuck = Memory { stuck: true, ..some(1..=100, "{}") };
        assert_eq!(read(&mut stuck).await.unwrap_err().kind(), Kind::Internal);
    }

    /// Broken if the next letter were taken for one that has gone.
    #[tokio::test]
    async fn a_letter_has_its_number() {
        let mut letters = some([3, 6].into_iter(), "{}");
        for (id, there) in [(0, false), (3, true), (4, false), (6, true), (7, false)] {
            assert_eq!(letter(&mut letters, id).await.unwrap().is_some(), there, "{id}");
        }
    }
}
