//! The command line, as clap reads it. Only verbs that work are listed.

mod dead_letters;
mod flagged;
mod snapshot;
mod verify;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config::{LinkName, parse_duration};
use crate::observe::logging::LogFormat;

pub(super) use dead_letters::{
    Choice, DeadLettersArgs, DeadLettersVerb, DiscardArgs, ExportArgs, Filter, LetterName,
    ListArgs, RetryArgs, ShowArgs, Word,
};
pub(super) use flagged::{
    FlaggedArgs, FlaggedDecideArgs, FlaggedExportArgs, FlaggedListArgs, FlaggedShowArgs,
    FlaggedVerb,
};
pub(super) use snapshot::SnapshotArgs;
pub(super) use verify::VerifyArgs;

/// Change data capture between PostgreSQL, MySQL and MariaDB, with one master per column.
#[derive(Debug, Parser)]
#[command(name = "weir", version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 good, 1 failed, 2 usage or configuration, \
                        3 differences found, 4 halted and needs a person.")]
pub struct Cli {
    /// Options of every verb.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

impl Cli {
    /// Reads the command line and the environment; ends the process where they make no sense.
    pub fn read() -> Cli {
        let matches = without_empty_variables(Cli::command()).get_matches();
        Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// An empty variable is as good as none: so it is written where one cannot be unset.
fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        let value = arg.get_env().and_then(std::env::var_os);
        if value.is_some_and(|value| value.is_empty()) { arg.env(None) } else { arg }
    });
    command.mut_subcommands(without_empty_variables)
}

/// Options of every verb.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration file [default: ./weir.toml, then /etc/weir/weir.toml]
    #[arg(long, short, global = true, env = "WEIR_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How log lines on standard error look
    #[arg(long, global = true, env = "WEIR_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,
    /// Log level: error, warn, info, debug, trace
    #[arg(long, global = true, env = "WEIR_LOG", value_name = "LEVEL")]
    pub log: Option<String>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Look at two live databases and write a configuration for them, with what is wrong
    Init(Box<InitArgs>),
    /// Look at both databases of every link and say what would keep weir from working; changes nothing
    Check(CheckArgs),
    /// Print who owns what and how each column is converted, with its loss class
    Explain(ExplainArgs),
    /// Show rows of a source's table, what each becomes and why any is rejected; writes nowhere
    Try(TryArgs),
    /// Print, or run, the statements that make the tables that the target lacks
    Ddl(DdlArgs),
    /// Print, or apply, what weir needs in each database: publication, `weir` schema, grants
    Setup(SetupArgs),
    /// Print, or apply, the removal of what setup and run made: slots, publications, witness rows
    Teardown(TeardownArgs),
    /// Replicate until stopped
    Run(RunArgs),
    /// Show each link: state, position, lag, and what to do where it is halted
    Status(StatusArgs),
    /// Show what the configuration files would change of what runs, and what that causes
    Plan(PlanArgs),
    /// Let the running weir take up changed configuration files: all of them, or nothing
    Reload(ReloadArgs),
    /// Stop links at a commit until they are resumed, before a source purges their log
    Pause(PauseArgs),
    /// Let halted or paused links go on
    Resume(ResumeArgs),
    /// Copy tables of a link anew, or a part of one; see, pause, resume and cancel copies
    Snapshot(SnapshotArgs),
    /// List, show, try again, drop or export the changes that were set aside
    #[command(visible_alias = "dead-letter")]
    DeadLetters(DeadLettersArgs),
    /// List, show, revert, dismiss or export what a database wrote that is not the owner
    Flagged(FlaggedArgs),
    /// Compare both sides row by row while changes flow, and mend what differs where that is asked for
    Verify(VerifyArgs),
    /// Show, export or import what is remembered of each link
    Checkpoint(CheckpointArgs),
    /// Return once everything committed on the source before the call is applied on the target
    Wait(WaitArgs),
    /// Try whether alerts arrive
    Alert(AlertArgs),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write one page for each verb
    Man(ManArgs),
    /// Start two throw-away databases, copy one, replicate a live workload and compare both sides
    Demo(DemoArgs),
}

/// `weir init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The source: mysql://user@host:port/database, mariadb://… or postgres://…, without a password
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// The target, likewise
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// Name of this installation
    #[arg(long, default_value = "main")]
    pub name: String,
    /// What the source is called in the configuration [default: its database's name]
    #[arg(long, value_name = "NAME")]
    pub from_name: Option<String>,
    /// What the target is called in the configuration [default: its database's name]
    #[arg(long, value_name = "NAME")]
    pub to_name: Option<String>,
    /// Environment variable with the source's password [default: NAME_PASSWORD, if it is set]
    #[arg(long, value_name = "VARIABLE", group = "from_password")]
    pub from_password_env: Option<String>,
    /// File with the source's password
    #[arg(long, value_name = "FILE", group = "from_password")]
    pub from_password_file: Option<PathBuf>,
    /// Program, and arguments after blanks, that prints the source's password
    #[arg(long, value_name = "COMMAND", group = "from_password")]
    pub from_password_command: Option<String>,
    /// Environment variable with the target's password [default: NAME_PASSWORD, if it is set]
    #[arg(long, value_name = "VARIABLE", group = "to_password")]
    pub to_password_env: Option<String>,
    /// File with the target's password
    #[arg(long, value_name = "FILE", group = "to_password")]
    pub to_password_file: Option<PathBuf>,
    /// Program, and arguments after blanks, that prints the target's password
    #[arg(long, value_name = "COMMAND", group = "to_password")]
    pub to_password_command: Option<String>,
    /// Certificates (PEM) of the authorities that sign the source's certificate
    #[arg(long, value_name = "FILE")]
    pub from_tls_ca: Option<PathBuf>,
    /// Certificates (PEM) of the authorities that sign the target's certificate
    #[arg(long, value_name = "FILE")]
    pub to_tls_ca: Option<PathBuf>,
    /// Patterns of source tables, schema.table with `*` [default: all]
    #[arg(long, value_name = "PATTERN", num_args = 1.., value_delimiter = ',')]
    pub tables: Vec<String>,
    /// The file to write [default: the one of --config, else ./weir.toml]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
}

/// What `weir init` was told of one database.
#[derive(Clone, Copy, Debug)]
pub struct InitEnd<'a> {
    /// Its url.
    pub url: &'a String,
    /// Its name in the configuration.
    pub name: Option<&'a String>,
    /// The variable of its password.
    pub env: Option<&'a String>,
    /// The file of its password.
    pub file: Option<&'a PathBuf>,
    /// The command that prints its password.
    pub command: Option<&'a String>,
    /// The authorities of its certificate.
    pub tls_ca: Option<&'a PathBuf>,
}

impl InitArgs {
    /// The source.
    pub fn source(&self) -> InitEnd<'_> {
        InitEnd {
            url: &self.from,
            name: self.from_name.as_ref(),
            env: self.from_password_env.as_ref(),
            file: self.from_password_file.as_ref(),
            command: self.from_password_command.as_ref(),
            tls_ca: self.from_tls_ca.as_ref(),
        }
    }

    /// The target.
    pub fn target(&self) -> InitEnd<'_> {
        InitEnd {
            url: &self.to,
            name: self.to_name.as_ref(),
            env: self.to_password_env.as_ref(),
            file: self.to_password_file.as_ref(),
            command: self.to_password_command.as_ref(),
            tls_ca: self.to_tls_ca.as_ref(),
        }
    }
}

/// `weir check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Links to check [default: all]
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub links: Vec<LinkName>,
    /// Fail on warnings too
    #[arg(long)]
    pub strict: bool,
    /// Read the source's tables too, all or these, and count the rows that have no form at the target
    #[arg(long, value_name = "TABLE", num_args = 0..)]
    pub data: Option<Vec<String>>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir try`.
#[derive(Debug, Args)]
pub struct TryArgs {
    /// The table at the source: schema.table, or its name alone
    #[arg(value_name = "TABLE")]
    pub table: String,
    /// Rows to show at most
    #[arg(long, value_name = "ROWS", default_value_t = 10)]
    pub limit: u64,
    /// The link [default: every one that carries the table]
    #[arg(long, value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub link: Option<LinkName>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// Links to explain [default: all]
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub links: Vec<LinkName>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir ddl`.
#[derive(Debug, Args)]
pub struct DdlArgs {
    /// Links [default: all]
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub links: Vec<LinkName>,
    /// Run the statements too, as the user of the configuration; what exists is left as it is
    #[arg(long, conflicts_with = "all")]
    pub apply: bool,
    /// Print statements for tables that exist on the target too
    #[arg(long)]
    pub all: bool,
    /// Make every foreign key of the source, not only those that change rows below its log
    #[arg(long)]
    pub foreign_keys: bool,
    /// Only the statements for this database, to be piped to its client
    #[arg(long, value_name = "DATABASE")]
    pub on: Option<String>,
}

/// `weir setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Links [default: all]
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub links: Vec<LinkName>,
    /// Run the statements too, as the user of the configuration
    #[arg(long)]
    pub apply: bool,
    /// Only the statements for this database, to be piped to its client
    #[arg(long, value_name = "DATABASE")]
    pub on: Option<String>,
}

/// `weir teardown`.
#[derive(Debug, Args)]
pub struct TeardownArgs {
    /// Links; --apply wants them named, or --all [default: all]
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
    pub links: Vec<LinkName>,
    /// Every link
    #[arg(long, conflicts_with = "links")]
    pub all: bool,
    /// Run the statements too, as the user of the configuration, while weir is stopped
    #[arg(long)]
    pub apply: bool,
    /// Only the statements for this database, to be piped to its client
    #[arg(long, value_name = "DATABASE")]
    pub on: Option<String>,
    /// Whichever installation wrote the witness, and unseen; first make sure that no weir runs the link
    #[arg(long)]
    pub force: bool,
}

/// `weir run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Stop once everything that was in the logs at the start is applied
    #[arg(long)]
    pub until_caught_up: bool,
}

/// `weir status`.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Show it again every so many seconds until Ctrl-C; one line a link
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub watch: Option<u64>,
}

/// `weir plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// The changes that need a decision are decided
    #[arg(long)]
    pub accept: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `weir pause`.
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// The links
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link, required = true)]
    pub links: Vec<LinkName>,
}

/// `weir checkpoint`.
#[derive(Debug, Args)]
pub struct CheckpointArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: CheckpointVerb,
}

/// What is done with checkpoints.
#[derive(Debug, Subcommand)]
pub enum CheckpointVerb {
    /// Print position, identities, digests and times
    Show {
        /// The link [default: all]
        #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link)]
        link: Option<LinkName>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write everything to a new file
    Export {
        /// The file
        file: PathBuf,
    },
    /// Take up what was exported into an empty state directory, while weir is stopped
    Import {
        /// The file
        file: PathBuf,
        /// It may be older than the witness: no table was taken out of the files and put back since
        #[arg(long)]
        accept: bool,
    },
}

/// `weir alert`.
#[derive(Debug, Args)]
pub struct AlertArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: AlertVerb,
}

/// What is done with alerts.
#[derive(Debug, Subcommand)]
pub enum AlertVerb {
    /// Send a test alert to the webhook and the command of [alerts], and print what came back
    Test {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `weir wait`.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// The links
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link, required = true)]
    pub links: Vec<LinkName>,
    /// Exit with 1 if it takes longer, such as 500ms, 60s, 5m
    #[arg(long, default_value = "60s", value_parser = parse_period)]
    pub timeout: Duration,
}

/// `weir resume`.
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// The links
    #[arg(value_name = "SOURCE:TARGET", value_parser = parse_link, required = true)]
    pub links: Vec<LinkName>,
    /// The change of a table was reviewed, and made on the target too
    #[arg(long)]
    pub schema_reviewed: bool,
}

/// `weir completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `weir man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Write weir.1 and one page for each verb into this directory [default: weir.1 is printed]
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
}

/// `weir demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End by itself after this many seconds [default: until Ctrl-C]
    #[arg(long, env = "DEMO_SECONDS")]
    pub seconds: Option<u64>,
}

/// The longest period that a verb takes.
const PERIOD_MAX: Duration = Duration::from_secs(30 * 86_400);

/// Reads `source:target`.
fn parse_link(text: &str) -> Result<LinkName, String> {
    match text.split_once(':') {
        Some((source, target)) if !source.is_empty() && !target.is_empty() => {
            Ok(LinkName { source: source.to_owned(), target: target.to_owned() })
        }
        _ => Err("a link is written source:target, for example crm:billing".to_owned()),
    }
}

/// Reads a pattern of tables.
fn parse_pattern(text: &str) -> Result<String, String> {
    match text.split_once('.') {
        Some((schema, table)) if !schema.is_empty() && !table.is_empty() => Ok(text.to_owned()),
        _ => Err("a pattern is written schema.table, for example shop.*".to_owned()),
    }
}

/// Reads a period of time as configuration files have it.
fn parse_period(text: &str) -> Result<Duration, String> {
    let period = parse_duration(text).filter(|period| *period <= PERIOD_MAX);
    period.ok_or_else(|| "a period is written like 500ms, 60s, 5m, and 30d at most".to_owned())
}
