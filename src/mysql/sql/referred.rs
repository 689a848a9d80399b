//! Whether a row is referred to, asked before a delete by which no other row may lose its parent.

use std::fmt::Write as _;

use super::{Statement, TableSql, quote, quote_table};
use crate::error::Result;
use crate::plan::ActingKey;

impl TableSql {
    /// The ordinals, from 0, of those of `keys` by which other rows refer to one row; the row holds the
    /// match key alone.
    pub(crate) fn referred(&self, keys: &[&ActingKey]) -> Result<Statement> {
        let places: Vec<usize> = (0..self.key.len()).collect();
        let (condition, one) = self.key_condition(&places)?;
        let (mut text, mut binds) = (String::new(), Vec::new());
        for (number, key) in keys.iter().enumerate() {
            let union = if number == 0 { "" } else { " UNION ALL " };
            let (own, theirs): (Vec<_>, Vec<_>) =
                key.pairs.iter().map(|(own, theirs)| (quote(own), quote(theirs))).unzip();
            let _ = write!(
                text,
                "{union}SELECT {number} FROM DUAL WHERE EXISTS (SELECT 1 FROM {} WHERE ({}) IN \
                 (SELECT {} FROM {} WHERE {condition})",
                quote_table(&key.child),
                own.join(","),
                theirs.join(","),
                self.table
            );
            binds.extend(&one);
            if key.child == self.name {
                let _ = write!(text, " AND NOT ({condition})");
                binds.extend(&one);
            }
            text.push(')');
        }
        Ok(Statement { text, binds })
    }
}
