//! The plan of a link: per table what is read, how each column is converted, and by which key rows
//! are matched. Compiled once from both catalogs and the configuration; plain data that can be
//! printed and compared without a database.

pub mod blueprint;
mod cascades;
mod column_names;
mod columns;
pub mod explain;
mod extras;
pub mod finding;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod formula;
mod judged;
pub mod key;
mod keys;
mod mark;
mod match_key;
pub mod merge;
mod mirror;
mod naming;
mod outer_keys;
pub mod outline;
pub mod planner;
pub mod prepare;
mod rank;
pub mod record;
mod referring;
pub mod routes;
pub mod select;
pub mod selection;
mod sql;
mod stand_ins;
pub mod table;
mod tangles;
mod touched;
pub mod unproven;
pub mod unseen;
pub mod wanted;

pub use blueprint::{Blueprint, blueprints};
pub use explain::{Explained, ExplainedColumn, ExplainedTable, digest, explain};
pub use finding::{Finding, skew};
pub use judged::{Flagged, FlaggedColumn};
pub use key::{key_text, parse_key};
pub(crate) use keys::KeyRef;
pub use mark::MarkReader;
pub use merge::{Merger, unmerged};
pub use mirror::{mirror, mirror_table, planned};
pub(crate) use outer_keys::{OuterKey, warnings as outer_key_warnings};
pub use outline::{Difference, Outline, TableOutline, Verdict};
pub use planner::plan;
pub(crate) use prepare::column_value;
pub use prepare::{
    Act, Prepared, Ruled, flagged, key_of_source, note, prepare, prepare_whole, rule, source_key,
};
pub use record::{recorded, recorded_act, recorded_value};
pub use routes::{Route, collisions, meeting, routes};
pub use select::{is_marked, links, selection};
pub use selection::Selection;
pub(crate) use sql::comment;
pub use table::{
    ActingKey, ColumnPlan, ForeignColumn, LinkPlan, TablePlan, Undone, Unfilled, UpsertStrategy,
};
pub use touched::{RowKey, Touched, touched};
pub use unproven::{KeyLook, Repeated, Unproven, unproven};
pub use unseen::{UnseenKey, acts_unseen, changes_unseen, key_changes_unseen};
pub use wanted::{Wanted, unplanned};
