//! A link's copies for people: listed and asked for, on a session of its own. A lock is waited for ten
//! seconds at most: the running link holds that on a table's row for as long as it writes a chunk.

use super::session::{self, Session};
use super::target::copies;
use crate::config::Database;
use crate::error::Result;
use crate::link::ports::{Copies, LinkContext, Pending, StoredCopy};

/// Connects to the link's copies in the target.
///
/// # Errors
/// As [`session::for_verb`].
pub(super) async fn open(context: &LinkContext, database: &Database) -> Result<Box<dyn Copies>> {
    let session = session::for_verb(database, &context.application_name()).await?;
    let (name, link) = (context.name.clone(), context.link.to_string());
    Ok(Box::new(MysqlCopies { session, name, link }))
}

struct MysqlCopies {
    session: Session,
    name: String,
    link: String,
}

impl Copies for MysqlCopies {
    fn list(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(copies::list(&mut self.session, &self.name, &self.link))
    }

    fn ask<'a>(&'a mut self, table: &'a str, order: &'a str) -> Pending<'a, ()> {
        Box::pin(copies::ask(&mut self.session, [&self.name, &self.link, table], order))
    }
}
