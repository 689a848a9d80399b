//! What the verbs print. Whoever pipes weir into `head` has seen enough: a reader that has gone is no
//! failure, and the verb does the rest of its work in silence. Any other failure, such as a full
//! disk, is kept, and becomes the verb's in the end.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, Kind, Result};

/// Whether whoever read standard output has gone.
static GONE: AtomicBool = AtomicBool::new(false);
/// Why standard output is incomplete.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line on standard output, formatted as by `println!`.
macro_rules! say {
    ($($text:tt)*) => { $crate::cli::output::line(format_args!($($text)*)) };
}
pub(super) use say;

/// A comment line of printed SQL on standard output, formatted as by `println!`: one line whatever
/// names are in it.
macro_rules! remark {
    ($($text:tt)*) => { $crate::cli::output::line(format_args!(
        "{}", $crate::plan::comment(&format!($($text)*))
    )) };
}
pub(super) use remark;

/// A line on standard error, formatted as by `eprintln!`.
macro_rules! complain {
    ($($text:tt)*) => { $crate::cli::output::complaint(format_args!($($text)*)) };
}
pub(super) use complain;

/// See [`say`].
pub(super) fn line(text: Arguments<'_>) {
    keep(writeln!(io::stdout().lock(), "{text}"));
}

/// See [`complain`]. There is nowhere left to say that this failed.
pub(super) fn complaint(text: Arguments<'_>) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Whether everything was printed that somebody wanted to read.
pub(super) fn finish() -> Result<()> {
    keep(io::stdout().lock().flush());
    match LOST.lock().unwrap_or_else(PoisonError::into_inner).take() {
        None => Ok(()),
        Some(cause) => {
            Err(Error::new(Kind::Io, "cannot write to standard output").caused_by(cause))
        }
    }
}

/// Whether somebody still reads standard output; for a verb that would go on for ever.
pub(super) fn has_listener() -> bool {
    !GONE.load(Ordering::Relaxed)
}

fn keep(written: io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(cause) if cause.kind() == ErrorKind::BrokenPipe => GONE.store(true, Ordering::Relaxed),
        Err(cause) => {
            LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
        }
    }
}
