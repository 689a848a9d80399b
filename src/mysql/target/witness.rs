//! The link's witness in `weir.witness`: read, made once, swapped by each transaction.
//!
//! `seq` rises by one in every transaction, so that the write is visible in every log, also when
//! nothing else changes; the swap names the expected `seq` and the installation, so that an old
//! session or another weir is fenced off (correctness.md 5).

use mysql_async::prelude::Queryable;
use mysql_async::{Row, Value as Parameter};

use super::super::session::{Session, within};
use super::super::sql::own;
use super::writer::{CALL_TIMEOUT, Writer};
use crate::error::{Error, Kind, Result};
use crate::model::Witness;
use crate::position::Position;

const SETUP_HINT: &str = "run `weir setup --apply` to make the tables of weir in this database";

/// What names the stored witness row that a transaction expects.
#[derive(Clone, Debug)]
pub(super) struct WitnessKey {
    name: String,
    link: String,
    part: u32,
    installation: String,
    seq: u64,
    hops: u32,
}

impl WitnessKey {
    pub(super) fn of(witness: &Witness) -> WitnessKey {
        WitnessKey {
            name: witness.name.clone(),
            link: witness.link.clone(),
            part: witness.part,
            installation: witness.installation.clone(),
            seq: witness.seq,
            hops: witness.hops,
        }
    }

    /// The compare-and-swap, with the position where the transaction is one slice. Gives the key
    /// as it is stored from now on.
    ///
    /// # Errors
    /// `Witness` where not exactly one row was hit.
    pub(super) async fn swap(
        self,
        writer: &mut Writer,
        position: Option<&Position>,
    ) -> Result<WitnessKey> {
        let hops = Parameter::from(self.hops);
        match position {
            Some(position) => {
                let values = vec![hops, position.to_string().into()];
                self.write(writer, own::SWAP_POSITION, values).await?;
            }
            None => self.write(writer, own::SWAP, vec![hops]).await?,
        }
        Ok(WitnessKey { seq: self.seq + 1, ..self })
    }

    /// Writes the position of a transaction of several slices, before its commit.
    ///
    /// # Errors
    /// `Witness` where not exactly one row was hit.
    pub(super) async fn set_position(
        &self,
        writer: &mut Writer,
        position: &Position,
    ) -> Result<()> {
        self.write(writer, own::POSITION, vec![position.to_string().into()]).await
    }

    /// `values` come before what names the row.
    async fn write(&self, writer: &mut Writer, sql: &str, values: Vec<Parameter>) -> Result<()> {
        let mut parameters = values;
        parameters.extend([
            self.name.as_str().into(),
            self.link.as_str().into(),
            self.part.into(),
            self.installation.as_str().into(),
            self.seq.into(),
        ]);
        let context = format!("write the witness of {}", self.link);
        let hit = writer.execute(&context, sql, parameters).await?;
        if hit == 1 {
            return Ok(());
        }
        Err(Error::new(
            Kind::Witness,
            format!(
                "{context}: {hit} rows instead of one have installation {} and seq {}",
                self.installation, self.seq
            ),
        ))
    }
}

/// The stored witness of a link.
///
/// # Errors
/// `Mapping` with a hint where the table is not there; `Witness` for a row that cannot be read.
pub(super) async fn read(session: &mut Session, name: &str, link: &str) -> Result<Option<Witness>> {
    let context = format!("read the witness of {link}");
    let call = session.conn().exec_first::<Row, _, _>(own::READ, (name, link));
    let row = within(CALL_TIMEOUT, &context, call).await.map_err(hinted)?;
    let Some(row) = row else { return Ok(None) };
    witness_of(row, name, link)
        .map(Some)
        .ok_or_else(|| Error::new(Kind::Witness, format!("{context}: the row cannot be read")))
}

fn hinted(error: Error) -> Error {
    if error.kind() == Kind::Mapping { error.hint(SETUP_HINT) } else { error }
}

fn witness_of(mut row: Row, name: &str, link: &str) -> Option<Witness> {
    let mut text = |at: usize| row.take_opt::<Option<String>, _>(at)?.ok();
    let (installation, position, restart) = (text(1)??, text(3)??, text(4)?);
    let (pending, source_identity, target_identity) = (text(6)?, text(7)??, text(8)??);
    Some(Witness {
        name: name.to_owned(),
        link: link.to_owned(),
        part: row.take_opt(0)?.ok()?,
        installation,
        seq: row.take_opt(2)?.ok()?,
        position: position.parse().ok()?,
        restart: match restart {
            Some(restart) => Some(restart.parse().ok()?),
            None => None,
        },
        hops: row.take_opt(5)?.ok()?,
        pending,
        source_identity,
        target_identity,
    })
}

/// Inserts the first witness of a link, in a transaction of its own.
///
/// # Errors
/// `Witness` where there is one already.
pub(super) async fn create(session: &mut Session, witness: &Witness) -> Result<()> {
    let context = format!("create the witness of {}", witness.link);
    let parameters: Vec<Parameter> = vec![
        witness.name.as_str().into(),
        witness.link.as_str().into(),
        witness.part.into(),
        witness.installation.as_str().into(),
        witness.seq.into(),
        witness.position.to_string().into(),
        witness.restart.as_ref().map(Position::to_string).into(),
        witness.hops.into(),
        witness.pending.clone().into(),
        witness.source_identity.as_str().into(),
        witness.target_identity.as_str().into(),
    ];
    let call = session.conn().exec_drop(own::CREATE, parameters);
    within(CALL_TIMEOUT, &context, call).await.map_err(|error| match error.kind() {
        Kind::Constraint => Error::new(Kind::Witness, format!("{context}: there is one already")),
        _ => hinted(error),
    })
}

/// Writes position, restart and source identity of a witness, in a transaction of its own.
///
/// # Errors
/// `Witness` where the stored one is not the expected one.
pub(super) async fn succeed(session: &mut Session, witness: &Witness) -> Result<()> {
    let context = format!("move the witness of {}", witness.link);
    let parameters: Vec<Parameter> = vec![
        witness.position.to_string().into(),
        witness.restart.as_ref().map(Position::to_string).into(),
        witness.source_identity.as_str().into(),
        witness.name.as_str().into(),
        witness.link.as_str().into(),
        witness.part.into(),
        witness.installation.as_str().into(),
        witness.seq.into(),
    ];
    let call = session.conn().exec_drop(own::SUCCEED, parameters);
    within(CALL_TIMEOUT, &context, call).await?;
    match session.conn().affected_rows() {
        1 => Ok(()),
        hit => Err(Error::new(
            Kind::Witness,
            format!("{context}: it is not as it was read, {hit} rows instead of one"),
        )),
    }
}

/// What was accepted of a link's tables, if it was written.
pub(super) async fn accepted(
    session: &mut Session,
    name: &str,
    link: &str,
) -> Result<Option<String>> {
    let context = format!("read what was accepted of the tables of {link}");
    let call = session.conn().exec_first::<Option<String>, _, _>(own::ACCEPTED, (name, link));
    Ok(within(CALL_TIMEOUT, &context, call).await?.flatten())
}

/// Writes it, in a transaction of its own.
pub(super) async fn accept(session: &mut Session, witness: &Witness, text: &str) -> Result<()> {
    let context = format!("write what was accepted of the tables of {}", witness.link);
    let parameters: Vec<Parameter> = vec![
        witness.name.as_str().into(),
        witness.link.as_str().into(),
        witness.installation.as_str().into(),
        witness.position.to_string().into(),
        text.into(),
        witness.source_identity.as_str().into(),
        witness.target_identity.as_str().into(),
    ];
    let call = session.conn().exec_drop(own::ACCEPT, parameters);
    within(CALL_TIMEOUT, &context, call).await
}
