//! A link's copies for people: listed and asked for, on a session of its own.
//!
//! Waits are bounded, for locks too: what the running link has written and not yet committed is waited
//! for. How far a copy is, is never written here.

use super::failure::classify;
use super::session::{self, Session};
use super::sql::copies as sql;
use super::target::{stored_copy, without_schema};
use crate::config::Database;
use crate::error::{Error, Result};
use crate::link::ports::{Copies, LinkContext, Pending, StoredCopy};

/// Connects to the link's copies in the target.
///
/// # Errors
/// As the session's.
pub(super) async fn open(context: &LinkContext, database: &Database) -> Result<Box<dyn Copies>> {
    let session = session::for_verb(database, &context.application_name()).await?;
    let (name, link) = (context.name.clone(), context.link.to_string());
    Ok(Box::new(PostgresCopies { session, name, link }))
}

struct PostgresCopies {
    session: Session,
    name: String,
    link: String,
}

impl Copies for PostgresCopies {
    fn list(&mut self) -> Pending<'_, Vec<StoredCopy>> {
        Box::pin(async {
            let rows = self.session.query(sql::LIST, &[&self.name, &self.link]).await;
            let rows = rows.map_err(|error| self.failed(error, "read the copies"))?;
            rows.iter().map(stored_copy).collect()
        })
    }

    fn ask<'a>(&'a mut self, table: &'a str, order: &'a str) -> Pending<'a, ()> {
        Box::pin(async move {
            let asked =
                self.session.execute(sql::ASK, &[&self.name, &self.link, &table, &order]).await;
            asked.map_err(|error| self.failed(error, "ask for a copy"))?;
            Ok(())
        })
    }
}

impl PostgresCopies {
    fn failed(&self, error: tokio_postgres::Error, what: &str) -> Error {
        without_schema(classify(error, format!("{what} of {}", self.link)))
    }
}
