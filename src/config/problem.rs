//! What is wrong with a configuration, and where.
//!
//! A [`Problem`] has a file, a line, a message and, where it helps, a hint. [`Problems`] is a list
//! that is never empty, in the order of the files, and becomes one error of kind `Configuration`.
//! Inside this folder a [`Report`] collects them: readers and validators add what they find and go
//! on, so that one run shows everything. Messages never repeat a value that may hold a secret.

use std::fmt;

use crate::error::{Error, Kind};

/// One thing wrong with the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file as it was found, or where weir looked.
    pub file: String,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where the whole file is meant.
    pub column: usize,
    /// What is wrong: a lower-case phrase.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.headline())?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl Problem {
    /// `weir.toml:12:3: message`, without the hint.
    pub fn headline(&self) -> String {
        match self.line {
            0 => format!("{}: {}", self.file, self.message),
            line => format!("{}:{line}:{}: {}", self.file, self.column, self.message),
        }
    }
}

/// Everything wrong with the configuration; at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// A single problem of a whole file, or of looking for one.
    pub(crate) fn of_file(file: impl Into<String>, message: impl Into<String>, hint: &str) -> Self {
        Problems(vec![Problem {
            file: file.into(),
            line: 0,
            column: 0,
            message: message.into(),
            hint: (!hint.is_empty()).then(|| hint.to_owned()),
        }])
    }

    /// The problems in the order of the files and lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Self {
        match problems.0.as_slice() {
            [only] => {
                let error = Error::new(Kind::Configuration, only.headline());
                match &only.hint {
                    Some(hint) => error.hint(hint.clone()),
                    None => error,
                }
            }
            all => Error::new(
                Kind::Configuration,
                format!("{} problems in the configuration:\n{problems}", all.len()),
            ),
        }
    }
}

/// A configuration file's text.
pub(crate) struct Source {
    /// Its name for messages.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
    line_starts: Vec<usize>,
}

impl Source {
    pub(crate) fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Source { name: name.into(), text, line_starts }
    }

    /// The line (from 1) of a byte offset.
    pub(crate) fn line(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset).max(1)
    }

    /// Line and column (both from 1, the column in characters) of a byte offset.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or("");
        (line, before.chars().count() + 1)
    }

    /// The line that holds a byte offset, without its line break.
    pub(crate) fn line_of(&self, offset: usize) -> &str {
        let line = self.line(offset);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let end = self.line_starts.get(line).copied().unwrap_or(self.text.len());
        self.text.get(start..end).unwrap_or("").trim_end_matches(['\n', '\r'])
    }
}

/// A place in one of the files: the file's index and a byte offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) file: usize,
    pub(crate) offset: usize,
}

/// Collects problems while the files are read and validated.
pub(crate) struct Report<'s> {
    sources: &'s [Source],
    problems: Vec<(Place, Problem)>,
}

impl<'s> Report<'s> {
    pub(crate) fn new(sources: &'s [Source]) -> Self {
        Report { sources, problems: Vec::new() }
    }

    /// Notes a problem; an empty hint is none.
    pub(crate) fn add(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let (file, (line, column)) = match self.sources.get(place.file) {
            Some(source) => (source.name.clone(), source.position(place.offset)),
            None => (String::new(), (0, 0)),
        };
        let hint = Some(hint.into()).filter(|hint| !hint.is_empty());
        let problem = Problem { file, line, column, message: message.into(), hint };
        self.problems.push((place, problem));
    }

    /// `weir.toml:12`, for messages of later checks.
    pub(crate) fn at(&self, place: Place) -> String {
        match self.sources.get(place.file) {
            Some(source) => format!("{}:{}", source.name, source.position(place.offset).0),
            None => String::new(),
        }
    }

    pub(crate) fn source(&self, file: usize) -> Option<&'s Source> {
        self.sources.get(file)
    }

    /// How many problems were noted so far.
    pub(crate) fn len(&self) -> usize {
        self.problems.len()
    }

    /// The value, if nothing was wrong.
    pub(crate) fn finish<T>(mut self, value: Option<T>) -> Result<T, Problems> {
        self.problems.sort_by_key(|(place, _)| *place);
        let mut problems: Vec<_> = self.problems.into_iter().map(|(_, problem)| problem).collect();
        problems.dedup();
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ if problems.is_empty() => {
                Err(Problems::of_file("configuration", "could not be read", ""))
            }
            _ => Err(Problems(problems)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a message pointed at another line or column than the mistake's.
    #[test]
    fn positions_count_lines_and_characters() {
        let sources = [Source::new("weir.toml", "a = 1\nü = \"ß\" x\n")];
        let mut report = Report::new(&sources);
        let offset = sources[0].text.find('x').unwrap_or(0);
        report.add(Place { file: 0, offset }, "unknown", "");
        report.add(Place { file: 0, offset: 0 }, "first", "look here");
        let problems = report.finish(Some(())).unwrap_err();
        assert_eq!(
            problems.to_string(),
            "weir.toml:1:1: first\n  hint: look here\nweir.toml:2:9: unknown"
        );
        let error = Error::from(problems);
        assert_eq!(error.kind(), Kind::Configuration);
        assert!(error.to_string().starts_with("2 problems in the configuration:\nweir.toml:1:1"));
    }
}
