//! The link's rows of `weir.missed`: written, settled and read.

use mysql_async::prelude::Queryable;
use mysql_async::{Row as ServerRow, Value as Parameter};

use super::super::session::within;
use super::super::sql::own;
use super::writer::{BULK_ROWS_MAX, CALL_TIMEOUT, Writer, field};
use crate::error::Result;
use crate::link::ports::Why;

/// Tables of one question at most, each a parameter of it.
const TABLES_MAX: usize = 10_000;

/// A key as its note holds it.
pub(super) struct KeyText {
    /// The target table.
    pub(super) table: String,
    /// The match key.
    pub(super) key: String,
    /// Why it is noted.
    pub(super) why: Why,
}

/// A note as it was read.
pub(super) struct ReadNote {
    /// Its number.
    pub(super) id: u64,
    /// What it says.
    pub(super) text: KeyText,
    /// The highest number of any note then.
    pub(super) newest: u64,
}

impl Writer {
    /// Notes keys.
    pub(super) async fn note(&mut self, name: &str, link: &str, keys: &[KeyText]) -> Result<()> {
        let context = format!("note missed rows of {link}");
        let own = |one: &KeyText| Parameter::from(one.why.name());
        self.each_key(&context, own::NOTE, name, link, keys, own).await
    }

    /// Removes notes of keys up to the number `until`.
    pub(super) async fn settle(
        &mut self,
        name: &str,
        link: &str,
        keys: &[KeyText],
        until: u64,
    ) -> Result<()> {
        let context = format!("settle missed rows of {link}");
        self.each_key(&context, own::SETTLE, name, link, keys, |_| until.into()).await
    }

    async fn each_key(
        &mut self,
        context: &str,
        sql: &str,
        name: &str,
        link: &str,
        keys: &[KeyText],
        last: impl Fn(&KeyText) -> Parameter,
    ) -> Result<()> {
        for chunk in keys.chunks(BULK_ROWS_MAX) {
            let rows: Vec<Vec<Parameter>> = chunk
                .iter()
                .map(|one| {
                    let of = [name, link, &one.table, &one.key].map(Parameter::from);
                    of.into_iter().chain([last(one)]).collect()
                })
                .collect();
            let batch = self.session().conn().exec_batch(sql, rows);
            within(CALL_TIMEOUT, context, batch).await?;
        }
        Ok(())
    }

    /// The oldest notes on `tables`.
    pub(super) async fn notes(
        &mut self,
        name: &str,
        link: &str,
        tables: &[String],
        limit: usize,
    ) -> Result<Vec<ReadNote>> {
        let context = format!("read missed rows of {link}");
        let mut found: Vec<ReadNote> = Vec::new();
        for chunk in tables.chunks(TABLES_MAX) {
            let places = vec!["?"; chunk.len()].join(",");
            let sql = format!("{} ({places}) ORDER BY `id` LIMIT {limit}", own::NOTES);
            let mut parameters: Vec<Parameter> = vec![name.into(), link.into()];
            parameters.extend(chunk.iter().map(|table| table.as_str().into()));
            let call = self.session().conn().exec::<ServerRow, _, _>(sql, parameters);
            for row in within(CALL_TIMEOUT, &context, call).await? {
                let (table, key) = (field(&context, &row, 1)?, field(&context, &row, 2)?);
                let why = Why::named(&field::<String>(&context, &row, 3)?);
                let (id, newest) = (field(&context, &row, 0)?, field(&context, &row, 4)?);
                found.push(ReadNote { id, text: KeyText { table, key, why }, newest });
            }
        }
        found.sort_by_key(|note| note.id);
        found.truncate(limit);
        Ok(found)
    }
}
