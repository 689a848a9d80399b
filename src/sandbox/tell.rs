//! What the sandbox tells a person on standard error: what it downloads, waits for, leaves behind.
//! Whoever has closed it does not want to know, and is no reason to stop or to panic.

use std::fmt::Arguments;
use std::io::Write;

/// A line on standard error, formatted as by `eprintln!`.
macro_rules! tell {
    ($($text:tt)*) => { $crate::sandbox::tell::line(format_args!($($text)*)) };
}
pub(in crate::sandbox) use tell;

/// See [`tell`].
pub(in crate::sandbox) fn line(text: Arguments<'_>) {
    writeln!(std::io::stderr().lock(), "{text}").ok();
}
