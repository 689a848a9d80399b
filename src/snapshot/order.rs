//! What a person asks of a table's copy, as it is kept in `weir.snapshot` until the link has taken it up.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};

/// What of a table is copied, and what else is done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scope {
    /// Only rows for which this is true, in the source's SQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Rows that only the target has are deleted.
    pub delete_extra: bool,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Copy the table, from its beginning.
    Copy(Scope),
    /// Have the copy wait.
    Pause,
    /// Let it go on.
    Resume,
    /// End it: rows will be missing.
    Cancel,
}

impl What {
    /// As one asks for it.
    pub const fn name(&self) -> &'static str {
        match self {
            What::Copy(_) => "a copy",
            What::Pause => "a pause",
            What::Resume => "a resume",
            What::Cancel => "a cancel",
        }
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Tells it from another that asks for the same.
    pub id: String,
    /// What is asked.
    pub what: What,
}

impl Order {
    /// As it is kept.
    pub fn to_text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::new(Kind::Internal, "an order for a copy").caused_by(error))
    }

    /// As it was kept.
    ///
    /// # Errors
    /// `Witness` where the text is not weir's.
    pub fn of_text(text: &str) -> Result<Order> {
        serde_json::from_str(text).map_err(|error| {
            Error::new(Kind::Witness, "an order in weir.snapshot is not as weir wrote it")
                .caused_by(error)
                .hint("ask again: `weir snapshot LINK TABLE`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an order were taken up as another one.
    #[test]
    fn orders_come_back_as_they_were_asked() {
        let scope = Scope { condition: Some("id > 7".into()), delete_extra: true };
        for what in [What::Copy(scope), What::Pause, What::Resume, What::Cancel] {
            let order = Order { id: "a".into(), what };
            assert_eq!(Order::of_text(&order.to_text().expect("text")).expect("order"), order);
        }
        assert!(Order::of_text("{}").is_err());
    }
}
