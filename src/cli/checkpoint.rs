//! `weir checkpoint show | export | import`: what the state directory remembers of each link.
//!
//! The truth about progress is the witness in the target: an import brings back the memory beside it
//! (accepted shapes, what was carried, pauses), into an empty state directory only, and is refused where
//! that memory is not of what the target holds. An export that is older than the witness does not know
//! what was carried meanwhile: a table that was taken out and put back since would seem to have been
//! there all the time. It takes a person's word that there is none. An export may be taken while weir
//! runs.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::cli::args::{CheckpointArgs, CheckpointVerb, Global};
use crate::cli::context::{Ends, links, load, settled};
use crate::cli::output::say;
use crate::cli::{exit, print_json};
use crate::config::{Config, LinkName};
use crate::error::{Error, Kind, Result};
use crate::link::ledger::{Checkpoint, Ledger, Progress};
use crate::plan::explain::digest_of;
use crate::state::{self, Contents, Store};

/// What an exported file says it is.
const FORMAT: &str = "weir checkpoints";
const VERSION: u16 = 1;

/// An exported file.
#[derive(Serialize, Deserialize)]
struct Export {
    format: String,
    version: u16,
    /// The version of weir that wrote it.
    weir: String,
    /// `name` of the configuration.
    name: String,
    checkpoints: serde_json::Value,
}

/// Runs the verb.
pub(super) async fn run(global: &Global, args: &CheckpointArgs) -> Result<ExitCode> {
    let config = load(global)?;
    match &args.verb {
        CheckpointVerb::Show { link, json } => show(&config, link.as_ref(), *json)?,
        CheckpointVerb::Export { file } => export(&config, file)?,
        CheckpointVerb::Import { file, accept } => import(&config, file, *accept).await?,
    }
    Ok(ExitCode::from(exit::GOOD))
}

/// One link's checkpoint, as it is printed and as JSON.
#[derive(Serialize)]
struct Shown {
    link: String,
    position: Option<String>,
    seq: Option<u64>,
    recorded_at_us: i64,
    installation: String,
    source_identity: String,
    target_identity: String,
    tables: usize,
    shapes_digest: String,
    mapping_digest: Option<String>,
    reviewed_until: Option<String>,
    paused_since_us: Option<i64>,
    halted: Option<String>,
    configured: bool,
}

impl Shown {
    fn of(link: &LinkName, known: &Checkpoint) -> Shown {
        let progress = known.progress.as_ref();
        let lines = known.shapes.iter().flat_map(|(table, shape)| {
            std::iter::once(table.as_str()).chain(shape.iter().map(String::as_str))
        });
        Shown {
            link: link.to_string(),
            position: progress.map(|progress| progress.position.to_string()),
            seq: progress.map(|progress| progress.seq),
            recorded_at_us: known.recorded_at_us,
            installation: known.installation.clone(),
            source_identity: known.source_identity.clone(),
            target_identity: known.target_identity.clone(),
            tables: known.shapes.len(),
            shapes_digest: digest_of(lines),
            mapping_digest: known.outline.as_ref().map(|outline| outline.digest()),
            reviewed_until: known.reviewed_until.as_ref().map(ToString::to_string),
            paused_since_us: known.paused_since_us,
            halted: known.halt.as_ref().map(|halt| halt.text.clone()),
            configured: !known.retired,
        }
    }

    fn print(&self) {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        say!("{}{}", self.link, if self.configured { "" } else { "  no longer configured" });
        say!("  position      {}", text(&self.position));
        say!("  seq           {}", self.seq.map_or_else(|| "none".to_owned(), |n| n.to_string()));
        say!("  recorded      {} s since 1970", self.recorded_at_us / 1_000_000);
        say!("  installation  {}", self.installation);
        say!("  source        {}", self.source_identity);
        say!("  target        {}", self.target_identity);
        say!("  shapes        {} of {} tables", self.shapes_digest, self.tables);
        say!("  mapping       {}", text(&self.mapping_digest));
        for (what, value) in [("reviewed", &self.reviewed_until), ("halted", &self.halted)] {
            if let Some(value) = value {
                say!("  {what:12}  {value}");
            }
        }
        if let Some(since) = self.paused_since_us {
            say!("  paused        {} s since 1970", since / 1_000_000);
        }
    }
}

fn show(config: &Config, only: Option<&LinkName>, json: bool) -> Result<()> {
    let known = state::remembered(&config.state_dir)?;
    if let Some(link) = only.filter(|link| !known.contains_key(*link)) {
        let context = format!("nothing is remembered of a link {link}");
        return Err(Error::new(Kind::Configuration, context)
            .hint("`weir checkpoint show` lists what is remembered"));
    }
    let known = known.iter().filter(|(link, _)| only.is_none_or(|only| only == *link));
    let shown: Vec<Shown> = known.map(|(link, known)| Shown::of(link, known)).collect();
    match json {
        true => print_json(&serde_json::json!({ "links": shown }))?,
        false => shown.iter().for_each(Shown::print),
    }
    Ok(())
}

fn export(config: &Config, file: &Path) -> Result<()> {
    let failed = |cause: std::io::Error| {
        Error::new(Kind::Io, format!("cannot write {}", file.display())).caused_by(cause)
    };
    let Some(contents) = state::memory(&config.state_dir)? else {
        let context = format!("nothing is remembered in {}", config.state_dir.display());
        return Err(Error::new(Kind::State, context).hint("it is made by the first `weir run`"));
    };
    let export = Export {
        format: FORMAT.to_owned(),
        version: VERSION,
        weir: env!("CARGO_PKG_VERSION").to_owned(),
        name: config.name.clone(),
        checkpoints: contents.to_value()?,
    };
    let text = serde_json::to_vec_pretty(&export)
        .map_err(|cause| Error::new(Kind::Internal, "cannot write as JSON").caused_by(cause))?;
    // A file that is there already is not weir's to replace.
    let mut output =
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(file).map_err(failed)?;
    output.write_all(&text).and_then(|()| output.sync_all()).map_err(failed)?;
    say!("{} links are in {}", contents.links.len(), file.display());
    Ok(())
}

async fn import(config: &Config, file: &Path, accept: bool) -> Result<()> {
    let contents = read(config, file)?;
    if state::is_held(&config.state_dir)? {
        return Err(state::held(&config.state_dir).hint("stop weir, import, and start it again"));
    }
    let configured = links(config, &[])?;
    let mut taken = Vec::new();
    for (link, known) in &contents.links {
        if !configured.contains(link) {
            say!("{link} is left out: it is not configured");
        } else if let Some(progress) = &known.progress {
            let export = Exported { installation: &contents.installation, progress, accept };
            export.compare(config, link).await?;
            taken.push((link, known));
        } else if known.paused_since_us.is_some() {
            taken.push((link, known));
        } else {
            say!("{link} is left out: it had not begun");
        }
    }
    let store = Store::open(&config.state_dir).await?;
    let imported = record(&store, &taken).await;
    store.close().await;
    imported?;
    say!("{} links are remembered as {} says", taken.len(), file.display());
    Ok(())
}

fn read(config: &Config, file: &Path) -> Result<Contents> {
    let unusable = || Error::new(Kind::Io, format!("cannot use {}", file.display()));
    let bytes = std::fs::read(file).map_err(|cause| unusable().caused_by(cause))?;
    let export: Export = serde_json::from_slice(&bytes).map_err(|cause| {
        unusable().hint("it must be a file of `weir checkpoint export`").caused_by(cause)
    })?;
    if export.format != FORMAT || export.version != VERSION {
        let found = format!("{} {}", export.format, export.version);
        let context = format!("{} holds {found}, not {FORMAT} {VERSION}", file.display());
        return Err(Error::new(Kind::State, context)
            .hint(format!("use weir {}, which wrote it, or a later one", export.weir)));
    }
    if export.name != config.name {
        let context = format!("the export is of `{}`, this is `{}`", export.name, config.name);
        return Err(Error::new(Kind::State, context).hint("use an export of this installation"));
    }
    Contents::of_value(export.checkpoints)
}

/// What an export says of a link that has begun.
struct Exported<'a> {
    installation: &'a str,
    progress: &'a Progress,
    /// A person has said that no table left the link and came back since.
    accept: bool,
}

impl Exported<'_> {
    /// Refuses a memory of what the target does not hold.
    async fn compare(&self, config: &Config, link: &LinkName) -> Result<()> {
        let config = &settled(config.clone(), std::slice::from_ref(link)).await;
        let ends = Ends::of(config, link, &config.name)?;
        let witness = ends.witness().await?;
        let seq = self.progress.seq;
        let refused =
            |context: String, hint: &str| Err(Error::new(Kind::Witness, context).hint(hint));
        match witness {
            None => refused(
                format!("the target of {link} has no witness, and the export remembers seq {seq}"),
                "an export belongs to the target that it was taken with",
            ),
            Some(witness) if witness.installation != self.installation => refused(
                format!("the witness of {link} is of another installation than the export"),
                "an export belongs to the target that it was taken with",
            ),
            Some(witness) if witness.seq < seq => refused(
                format!(
                    "the export is newer than the witness of {link}: seq {seq} and {}",
                    witness.seq
                ),
                "the target was set back: import an export from before that, or none: weir goes on \
                 from the witness",
            ),
            Some(witness) if witness.seq > seq && !self.accept => refused(
                format!(
                    "the export is older than the witness of {link} (seq {seq} and {}): what was \
                     written to a table that was taken out and put back since is on no record",
                    witness.seq
                ),
                "if there is such a table, copy it again; then, or if there is none, import with \
                 --accept",
            ),
            Some(_) => Ok(()),
        }
    }
}

async fn record(store: &Store, taken: &[(&LinkName, &Checkpoint)]) -> Result<()> {
    if !store.is_fresh() {
        return Err(Error::new(Kind::State, "the state directory remembers links already")
            .hint("import into an empty state directory"));
    }
    for (link, known) in taken {
        // The mark of a start that was cut off is not to be brought back: it lets a slot be replaced.
        let known = Checkpoint { starting: false, ..(*known).clone() };
        store.record(link, known).await?;
    }
    Ok(())
}
