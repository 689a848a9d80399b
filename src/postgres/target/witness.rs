//! The link's witness in `weir.witness`: read, made once, moved, and what is kept beside it. The
//! compare-and-swap that opens a transaction travels with its slice.

use tokio_postgres::Row as DbRow;
use tokio_postgres::types::ToSql;

use super::pipeline::in_time;
use super::{PostgresTarget, column, stored_hops, stored_seq, without_schema};
use crate::error::{Error, Kind, Result};
use crate::model::Witness;
use crate::position::Position;
use crate::postgres::failure::classify;
use crate::postgres::sql::witness as sql;

impl PostgresTarget {
    pub(super) async fn read_witness(&mut self) -> Result<Option<Witness>> {
        let (name, link) = (self.context.name.clone(), self.link());
        let reply = in_time(self.session.query_opt(sql::READ, &[&name, &link])).await?;
        let row = reply.map_err(|error| without_schema(classify(error, "read the witness")))?;
        row.map(|row| witness_of(&row, name, link)).transpose()
    }

    pub(super) async fn create_witness(&mut self, witness: &Witness) -> Result<()> {
        let seq = stored_seq(witness.seq)?;
        let hops = stored_hops(witness.hops);
        let position = witness.position.to_string();
        let restart = witness.restart.as_ref().map(Position::to_string);
        let parameters: [&(dyn ToSql + Sync); 10] = [
            &witness.name,
            &witness.link,
            &witness.installation,
            &seq,
            &position,
            &restart,
            &hops,
            &witness.pending,
            &witness.source_identity,
            &witness.target_identity,
        ];
        match in_time(self.session.execute(sql::CREATE, &parameters)).await? {
            Ok(_) => Ok(()),
            Err(error) if error.code().is_some_and(|code| code.code() == "23505") => {
                let context = format!("link {} already has a witness in the target", witness.link);
                Err(Error::new(Kind::Witness, context))
            }
            Err(error) => Err(without_schema(classify(error, "create the witness"))),
        }
    }

    pub(super) async fn move_witness(&mut self, witness: &Witness) -> Result<()> {
        let (seq, position) = (stored_seq(witness.seq)?, witness.position.to_string());
        let restart = witness.restart.as_ref().map(Position::to_string);
        let parameters: [&(dyn ToSql + Sync); 7] = [
            &witness.name,
            &witness.link,
            &witness.installation,
            &seq,
            &position,
            &restart,
            &witness.source_identity,
        ];
        let reply = in_time(self.session.execute(sql::SUCCEED, &parameters)).await?;
        match reply.map_err(|error| classify(error, "move the witness"))? {
            1 => Ok(()),
            hit => Err(Error::new(
                Kind::Witness,
                format!("the witness of link {} is not as it was read: {hit} rows", witness.link),
            )),
        }
    }

    pub(super) async fn read_accepted(&mut self) -> Result<Option<String>> {
        let (name, link) = (self.context.name.clone(), self.link());
        let reply = in_time(self.session.query_opt(sql::ACCEPTED, &[&name, &link])).await?;
        let row = reply.map_err(|error| classify(error, "read what was accepted of the tables"))?;
        Ok(row.and_then(|row| row.get(0)))
    }

    pub(super) async fn write_accepted(&mut self, witness: &Witness, text: &str) -> Result<()> {
        let position = witness.position.to_string();
        let parameters: [&(dyn ToSql + Sync); 7] = [
            &witness.name,
            &witness.link,
            &witness.installation,
            &position,
            &text,
            &witness.source_identity,
            &witness.target_identity,
        ];
        let reply = in_time(self.session.execute(sql::ACCEPT, &parameters)).await?;
        reply.map_err(|error| classify(error, "write what was accepted of the tables"))?;
        Ok(())
    }
}

/// A witness as the table holds it.
fn witness_of(row: &DbRow, name: String, link: String) -> Result<Witness> {
    let position = |text: String| {
        text.parse::<Position>().map_err(|error| {
            Error::new(Kind::Witness, format!("witness of link {link} cannot be read"))
                .caused_by(error)
        })
    };
    let negative =
        |_| Error::new(Kind::Witness, format!("witness of link {link} holds a negative count"));
    let seq = u64::try_from(column::<i64>(row, 1)?).map_err(negative)?;
    let hops = u32::try_from(column::<i32>(row, 4)?).map_err(negative)?;
    Ok(Witness {
        part: 0,
        installation: column(row, 0)?,
        seq,
        position: position(column(row, 2)?)?,
        restart: column::<Option<String>>(row, 3)?.map(position).transpose()?,
        hops,
        pending: column(row, 5)?,
        source_identity: column(row, 6)?,
        target_identity: column(row, 7)?,
        name,
        link,
    })
}
