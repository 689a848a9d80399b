//! A physical standby of a throw-away PostgreSQL server: a copy of its data that follows its log.
//!
//! The copy is taken through the server's own backup functions, so that no tool beside the server is needed. Slots
//! are not copied. The standby has the primary's password and, on the primary, a physical slot of its own.

use super::running::{begin, blocking};
use super::{Error, Kind, Options, Result, Running, client, fetch};

/// Name of the physical slot on the primary.
const SLOT: &str = "sandbox_standby";

/// Starts a standby of `primary`, which must be running, and waits until it answers.
pub async fn standby(primary: &Running, options: Options) -> Result<Running> {
    let conninfo = format!(
        "host=127.0.0.1 port={} user={} password={} dbname={}",
        primary.port(),
        primary.user(),
        primary.password(),
        primary.database()
    );
    let options = options
        .set("primary_conninfo", conninfo)
        .set("primary_slot_name", SLOT)
        .password(primary.password())
        .database(primary.database());
    let (kind, data) = (primary.kind(), primary.data_dir().to_owned());
    let client = client::postgres(&primary.pg_config()).await?;
    let make = format!(
        "SELECT pg_create_physical_replication_slot('{SLOT}', true) WHERE NOT EXISTS
           (SELECT FROM pg_replication_slots WHERE slot_name = '{SLOT}')"
    );
    client.batch_execute(&make).await.map_err(failed)?;
    client.batch_execute("SELECT pg_backup_start('standby', true)").await.map_err(failed)?;
    let mut running = blocking(move || {
        let mut running = Running::prepare(fetch::install(kind)?, options)?;
        running.fill_from(&data)?;
        Ok(running)
    })
    .await?;
    let stop = "SELECT labelfile FROM pg_backup_stop(false)";
    let label: String = client.query_one(stop, &[]).await.map_err(failed)?.get(0);
    running.add_to_data("backup_label", &label)?;
    running.add_to_data("standby.signal", "")?;
    begin(running).await
}

fn failed(source: tokio_postgres::Error) -> Error {
    Error::new(Kind::Sql, "make a backup for a standby").with_source(source)
}
