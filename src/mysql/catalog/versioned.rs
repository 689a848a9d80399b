//! System-versioned tables of MariaDB: which column says until when a row was the present one.
//!
//! Where the definition does not name the two columns of a row's time, the catalog does not show them, but
//! every row of the log has them, last. Source: MariaDB manual, "System-Versioned Tables".

use super::{Flavor, of_tables, positions};
use crate::error::Result;
use crate::model::{Column, Table, Type};
use crate::mysql::session::Session;

/// What the catalog says of the column that holds the end of a row's time.
pub(super) const ROW_END: &str = "ROW END";

/// Gives tables the columns that the catalog hides.
pub(super) async fn complete(
    session: &mut Session,
    flavor: Flavor,
    schema: &str,
    tables: &mut [Table],
) -> Result<()> {
    if flavor == Flavor::Mysql {
        return Ok(());
    }
    let sql = format!(
        "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'SYSTEM VERSIONED' AND {}",
        of_tables("TABLE_SCHEMA", schema, "TABLE_NAME", tables)
    );
    let at = positions(tables);
    for row in session.texts("look for system-versioned tables", &sql).await? {
        let Some(at) = row.first().cloned().flatten().and_then(|name| at.get(&name)) else {
            continue;
        };
        let Some(table) = tables.get_mut(*at) else { continue };
        if !table.columns.iter().any(|column| column.row_end) {
            table.columns.push(hidden("row_start"));
            table.columns.push(Column { row_end: true, ..hidden("row_end") });
        }
    }
    Ok(())
}

fn hidden(name: &str) -> Column {
    let ty = Type::Instant { digits: 6 };
    Column { nullable: false, generated: true, ..Column::plain(name, ty, "timestamp(6)") }
}
