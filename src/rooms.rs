//! The only match on dialect: which room speaks to a database.

use crate::config::Dialect;
use crate::link::ports::Room;
use crate::mysql::Mysql;
use crate::postgres::Postgres;

/// The room of a dialect.
pub fn room(dialect: Dialect) -> &'static dyn Room {
    match dialect {
        Dialect::Postgres => &Postgres,
        Dialect::Mysql | Dialect::Mariadb => &Mysql,
    }
}
