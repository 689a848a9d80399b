//! The configuration files of a throw-away server: what replication needs, little memory, loopback only.
//!
//! PostgreSQL gets a `postgresql.conf` and a `pg_hba.conf`, MySQL and MariaDB a `my.cnf` and an init file, all in the
//! server's own directory and none in its data. The caller's settings win over everything written here.
//! Not durable means: nothing is flushed to the disk, but every commit reaches the operating system, so that a kill
//! of the server loses nothing.

use std::fmt::Write as _;
use std::path::Path;

use super::fetch::Installed;

/// What the files are made from.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// The server's own directory: sockets, configuration, log.
    pub(crate) directory: &'a Path,
    /// Its data.
    pub(crate) data: &'a Path,
    /// TCP port on loopback.
    pub(crate) port: u16,
    /// `server_id` of MySQL and MariaDB.
    pub(crate) server_id: u32,
    /// Whether to flush to disk.
    pub(crate) durable: bool,
    /// The caller's settings.
    pub(crate) extra: &'a [(String, String)],
}

type Settings = Vec<(String, String)>;

/// Text of `postgresql.conf`.
pub(crate) fn postgres(place: &Place<'_>) -> String {
    let mut settings = pairs(&[
        ("listen_addresses", "127.0.0.1"),
        ("wal_level", "logical"),
        ("max_replication_slots", "20"),
        ("max_wal_senders", "20"),
        ("max_slot_wal_keep_size", "8GB"),
        ("password_encryption", "scram-sha-256"),
        ("shared_buffers", "64MB"),
        ("max_connections", "100"),
        // Files in the data directory, which go with it; shared memory would survive a kill.
        ("dynamic_shared_memory_type", "mmap"),
        ("jit", "off"),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("log_line_prefix", "%m [%p] "),
        ("fsync", if place.durable { "on" } else { "off" }),
    ]);
    settings.push(("port".into(), place.port.to_string()));
    settings.push(("data_directory".into(), text(place.data)));
    // By default they would be those in the data.
    for (name, file) in [("hba_file", "pg_hba.conf"), ("ident_file", "pg_ident.conf")] {
        settings.push((name.into(), text(&place.directory.join(file))));
    }
    settings.push(("unix_socket_directories".into(), text(place.directory)));
    merge(settings, place).into_iter().fold(String::new(), |mut file, (name, value)| {
        let _ = writeln!(file, "{name} = '{}'", value.replace('\'', "''"));
        file
    })
}

/// Text of `pg_hba.conf`: trust inside the private directory, a password over TCP.
pub(crate) const POSTGRES_HBA: &str = "local all all trust\nlocal replication all trust\n\
    host all all 127.0.0.1/32 scram-sha-256\nhost replication all 127.0.0.1/32 scram-sha-256\n";

/// Text of `my.cnf` for MySQL and MariaDB.
pub(crate) fn mysql(installed: &Installed, place: &Place<'_>) -> String {
    let mut settings = pairs(&[
        ("bind_address", "127.0.0.1"),
        ("skip_name_resolve", "ON"),
        ("log_bin", "binlog"),
        ("binlog_format", "ROW"),
        ("binlog_row_image", "FULL"),
        ("binlog_row_metadata", "FULL"),
        ("secure_file_priv", ""),
        ("performance_schema", "OFF"),
        ("innodb_buffer_pool_size", "64M"),
        ("innodb_use_native_aio", "OFF"),
    ]);
    if place.durable {
        settings.extend(pairs(&[("sync_binlog", "1"), ("innodb_flush_log_at_trx_commit", "1")]));
    } else {
        settings.extend(pairs(&[
            ("sync_binlog", "0"),
            ("innodb_flush_log_at_trx_commit", "2"),
            ("innodb_flush_method", "nosync"),
        ]));
    }
    if !installed.server.is_mariadb() {
        settings.extend(pairs(&[
            ("mysqlx", "OFF"),
            ("gtid_mode", "ON"),
            ("enforce_gtid_consistency", "ON"),
        ]));
    }
    let directory = place.directory;
    settings.push(("port".into(), place.port.to_string()));
    settings.push(("server_id".into(), place.server_id.to_string()));
    settings.push(("datadir".into(), text(place.data)));
    settings.push(("socket".into(), text(&directory.join("sock"))));
    settings.push(("pid_file".into(), text(&directory.join("pid"))));
    settings.push(("tmpdir".into(), text(&directory.join("tmp"))));
    settings.push(("init_file".into(), text(&directory.join("init.sql"))));
    settings.extend(mysql_paths(installed));
    merge(settings, place).into_iter().fold("[mysqld]\n".to_owned(), |mut file, pair| {
        let _ = writeln!(file, "{}={}", pair.0, pair.1);
        file
    })
}

/// Where a MySQL or MariaDB that was not installed finds its own files.
pub(crate) fn mysql_paths(installed: &Installed) -> Settings {
    let mut settings = vec![("basedir".to_owned(), text(&installed.base()))];
    if let Some(share) = installed.share() {
        settings.push(("character_sets_dir".into(), text(&share.join("charsets"))));
        settings.push(("lc_messages_dir".into(), text(&share)));
    }
    if let Some(plugins) = installed.plugins() {
        settings.push(("plugin_dir".into(), text(&plugins)));
    }
    settings
}

/// SQL run by MySQL or MariaDB at its first start: the password and the database. Not logged to the binlog.
pub(crate) fn mysql_init(installed: &Installed, password: &str, database: &str) -> String {
    let password = password.replace('\\', "\\\\").replace('\'', "''");
    let database = database.replace('`', "``");
    let identified = if installed.server.is_mariadb() {
        format!("IDENTIFIED VIA mysql_native_password USING PASSWORD('{password}')")
    } else {
        format!("IDENTIFIED WITH caching_sha2_password BY '{password}'")
    };
    format!(
        "SET SESSION sql_log_bin = 0;\n\
         CREATE USER IF NOT EXISTS 'root'@'%' {identified};\n\
         ALTER USER 'root'@'%' {identified};\n\
         GRANT ALL PRIVILEGES ON *.* TO 'root'@'%' WITH GRANT OPTION;\n\
         DROP USER IF EXISTS 'root'@'localhost';\n\
         CREATE DATABASE IF NOT EXISTS `{database}`;\n"
    )
}

fn pairs(list: &[(&str, &str)]) -> Settings {
    list.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn merge(mut settings: Settings, place: &Place<'_>) -> Settings {
    let directory = text(place.directory);
    for (name, value) in place.extra {
        let name = name.to_lowercase().replace('-', "_");
        settings.retain(|(known, _)| *known != name);
        settings.push((name, value.replace("{dir}", &directory)));
    }
    settings
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_setting_replaces_ours_however_it_is_spelt() {
        let extra = [("Wal-Level".to_owned(), "replica".to_owned())];
        let place = Place {
            directory: Path::new("/d"),
            data: Path::new("/d/data"),
            port: 20_000,
            server_id: 1,
            durable: false,
            extra: &extra,
        };
        let file = postgres(&place);
        assert!(file.contains("wal_level = 'replica'"), "{file}");
        assert!(!file.contains("logical"), "{file}");
    }
}
