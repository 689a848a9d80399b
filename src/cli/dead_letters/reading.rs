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
pub(super) fn excuse(link: &LinkName, error: &Error) {
    complain!("weir: {link}: {}", error.chain());
    complain!("  hint: {}", hint(error).replace("LINK", &link.to_string()));
}
