//! TOML 1.0 only.
//!
//! The parser also accepts what TOML 1.1 added, but most editors and people's scripts do not. This
//! scanner finds those additions in a text that the parser has accepted: line breaks, comments and
//! trailing commas in inline tables, the escapes `\e` and `\x`, and times without seconds. It does
//! not check anything else, and it never fails on text that is no TOML at all.

/// One use of TOML 1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Newer {
    /// Byte offset.
    pub(crate) offset: usize,
    /// What is used.
    pub(crate) message: &'static str,
    /// What to write instead.
    pub(crate) hint: &'static str,
}

const LINE_BREAK: (&str, &str) = (
    "an inline table over several lines is TOML 1.1; weir's files are TOML 1.0",
    "write it on one line, or as a table of its own under a [header]",
);
const TRAILING_COMMA: (&str, &str) = (
    "a trailing comma in an inline table is TOML 1.1; weir's files are TOML 1.0",
    "remove the last comma before `}`",
);
const ESCAPE: (&str, &str) = (
    "the escapes `\\e` and `\\x` are TOML 1.1; weir's files are TOML 1.0",
    "write `\\u00XX` instead, or a pattern in single quotes",
);
const SECONDS: (&str, &str) = (
    "a time without seconds is TOML 1.1; weir's files are TOML 1.0",
    "write the seconds too, as in 07:32:00",
);

/// Every use of TOML 1.1 in `text`.
pub(crate) fn newer_than_1_0(text: &str) -> Vec<Newer> {
    let mut scanner =
        Scanner { bytes: text.as_bytes(), at: 0, open: Vec::new(), found: Vec::new() };
    while scanner.step() {}
    scanner.found
}

/// An open bracket.
#[derive(Clone, Copy, PartialEq)]
enum Open {
    Array,
    /// An inline table, with the offset of a comma that nothing has followed yet, and whether its
    /// line breaks were reported.
    Table {
        comma: Option<usize>,
        reported: bool,
    },
}

struct Scanner<'t> {
    bytes: &'t [u8],
    at: usize,
    open: Vec<Open>,
    found: Vec<Newer>,
}

impl Scanner<'_> {
    /// Takes one token; false at the end.
    fn step(&mut self) -> bool {
        let Some(&byte) = self.bytes.get(self.at) else { return false };
        match byte {
            b' ' | b'\t' | b'\r' => self.at += 1,
            b'#' => self.at = self.find(self.at, b'\n'),
            b'\n' => {
                self.line_break();
                self.at += 1;
            }
            b'"' | b'\'' => {
                self.item();
                self.string(byte);
            }
            b'[' => {
                self.item();
                self.open.push(Open::Array);
                self.at += 1;
            }
            b'{' => {
                self.item();
                self.open.push(Open::Table { comma: None, reported: false });
                self.at += 1;
            }
            b']' | b'}' => {
                if let (b'}', Some(Open::Table { comma: Some(offset), .. })) =
                    (byte, self.open.pop())
                {
                    self.report(offset, TRAILING_COMMA);
                }
                self.at += 1;
            }
            b',' => {
                if let Some(Open::Table { comma, .. }) = self.open.last_mut() {
                    *comma = Some(self.at);
                }
                self.at += 1;
            }
            b'=' => self.at += 1,
            _ => {
                self.item();
                self.bare();
            }
        }
        true
    }

    fn report(&mut self, offset: usize, (message, hint): (&'static str, &'static str)) {
        self.found.push(Newer { offset, message, hint });
    }

    /// Something that may follow a comma.
    fn item(&mut self) {
        if let Some(Open::Table { comma, .. }) = self.open.last_mut() {
            *comma = None;
        }
    }

    fn line_break(&mut self) {
        if let Some(Open::Table { reported, .. }) = self.open.last_mut()
            && !std::mem::replace(reported, true)
        {
            self.report(self.at, LINE_BREAK);
        }
    }

    /// Offset of the next `byte`, or of the end.
    fn find(&self, from: usize, byte: u8) -> usize {
        let rest = self.bytes.iter().skip(from);
        from + rest.take_while(|other| **other != byte).count()
    }

    /// A bare key, number or time.
    fn bare(&mut self) {
        let start = self.at;
        let ends = |byte: &u8| b" \t\r\n#\"'[]{},=".contains(byte);
        self.at += self.bytes.iter().skip(start).take_while(|byte| !ends(byte)).count().max(1);
        let token = self.bytes.get(start..self.at).unwrap_or(&[]);
        if let Some(colon) = token.iter().position(|byte| *byte == b':')
            && token.get(colon + 3) != Some(&b':')
        {
            self.report(start, SECONDS);
        }
    }

    fn string(&mut self, quote: u8) {
        let triple = self.bytes.get(self.at..self.at + 3) == Some(&[quote; 3]);
        self.at += if triple { 3 } else { 1 };
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte == quote && !triple {
                self.at += 1;
                return;
            }
            if byte == quote && self.bytes.get(self.at..self.at + 3) == Some(&[quote; 3]) {
                // Up to two quotes may stand before the closing three.
                while self.bytes.get(self.at) == Some(&quote) {
                    self.at += 1;
                }
                return;
            }
            if byte == b'\n' && !triple {
                return;
            }
            if byte == b'\\' && quote == b'"' {
                if matches!(self.bytes.get(self.at + 1), Some(b'e' | b'x')) {
                    self.report(self.at, ESCAPE);
                }
                self.at += 1;
            }
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<&'static str> {
        assert!(toml::from_str::<toml::Table>(text).is_ok(), "not TOML 1.1: {text}");
        newer_than_1_0(text).into_iter().map(|newer| newer.message).collect()
    }

    /// Broken if weir took a file that editors and other programs refuse.
    #[test]
    fn additions_of_1_1_are_found() {
        assert_eq!(found("a = {\n b = 1 }"), [LINE_BREAK.0]);
        assert_eq!(found("a = { b = 1, # why\n c = 2,\n}"), [LINE_BREAK.0, TRAILING_COMMA.0]);
        assert_eq!(found("a = [{ b = 1, }]"), [TRAILING_COMMA.0]);
        assert_eq!(found(r#"a = "\e[1m \x41""#), [ESCAPE.0, ESCAPE.0]);
        assert_eq!(found("a = \"\"\"\n\\e\"\"\""), [ESCAPE.0]);
        assert_eq!(found("a = 07:32\nb = 1979-05-27T07:32Z"), [SECONDS.0, SECONDS.0]);
        assert_eq!(found("a = 1979-05-27 07:32"), [SECONDS.0]);
    }

    /// Broken if good TOML 1.0 were refused.
    #[test]
    fn plain_1_0_is_left_alone() {
        let text = r##"
            [a.b] # { comment
            c = [1, 2, # more
              3,
            ]
            [[d]]
            e = { f = "}", g = '\e\x', h = [
               { i = 1 }, ], j = "\\e \\x {" }
            k = """
            { "quoted" \\e,
            }""""
            l = '''
            \e { ,}'''
            m = 07:32:00
            n = 1979-05-27 07:32:00.5-07:00
            "o:p" = "12:30"
            q = {}
        "##;
        assert_eq!(found(text), [""; 0]);
    }

    proptest! {
        /// Broken if the scanner failed or hung on text that is no TOML.
        #[test]
        fn any_text_is_scanned(text in r#"([{}\[\],"'\\ex:=\n#a1]|\PC){0,200}"#) {
            for newer in newer_than_1_0(&text) {
                prop_assert!(newer.offset <= text.len());
            }
        }
    }
}
