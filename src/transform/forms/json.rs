//! A JSON text read piece by piece, by whoever knows what is due next; and strings written as JSON.
//!
//! Numbers stay the text that they are. Nothing is built of what is not asked for.

use crate::transform::Reason;
use crate::transform::conversion::{JsonFit, Numbers};
use crate::transform::json::check;

/// What a document inside a value may be: anything, nested as deep as the value's own limit allows.
const ANY: JsonFit = JsonFit {
    into_text: false,
    unchecked: false,
    depth_max: 4096,
    unique_names: false,
    no_nul: false,
    no_lone_surrogates: false,
    numbers: Numbers::Any,
    bytes_max: None,
};

/// A place in a text.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Reader { text, at: 0 }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// What comes next, after blanks.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.at += blanks;
        self.text.as_bytes().get(self.at).copied()
    }

    /// Passes over a byte, if it is next.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Reason> {
        if self.take(byte) { Ok(()) } else { Err(Reason::Parse) }
    }

    /// Passes over a word, if it is next.
    pub(crate) fn word(&mut self, word: &str) -> bool {
        self.peek();
        let rest = self.rest();
        let follows = rest.strip_prefix(word).map(|rest| rest.bytes().next());
        let found = follows.is_some_and(|next| !next.is_some_and(|b| b.is_ascii_alphanumeric()));
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Fails unless nothing follows.
    pub(crate) fn end(mut self) -> Result<(), Reason> {
        if self.peek().is_none() { Ok(()) } else { Err(Reason::Parse) }
    }

    /// The text of a number.
    pub(crate) fn number(&mut self) -> Result<&'a str, Reason> {
        self.peek();
        let rest = self.rest();
        let plain = |letter: char| letter.is_ascii_digit() || "+-.eE".contains(letter);
        let length = rest.find(|letter| !plain(letter)).unwrap_or(rest.len());
        let number = rest.get(..length).unwrap_or_default();
        check(number, &ANY)?;
        self.at += length;
        Ok(number)
    }

    /// A string with its escapes resolved.
    pub(crate) fn string(&mut self) -> Result<String, Reason> {
        let raw = self.document()?;
        if !raw.starts_with('"') {
            return Err(Reason::Parse);
        }
        let text: String = serde_json::from_str(raw).map_err(|_| Reason::JsonSurrogate)?;
        if text.contains('\0') { Err(Reason::NulChar) } else { Ok(text) }
    }

    /// A value of any kind, as it is spelled.
    pub(crate) fn document(&mut self) -> Result<&'a str, Reason> {
        self.peek();
        let (rest, mut depth, mut inside, mut escaped) = (self.rest(), 0_usize, false, false);
        let mut length = rest.len();
        for (at, byte) in rest.bytes().enumerate() {
            if inside {
                match byte {
                    _ if escaped => escaped = false,
                    b'\\' => escaped = true,
                    b'"' => inside = false,
                    _ => continue,
                }
                if inside || depth > 0 {
                    continue;
                }
                length = at + 1;
                break;
            }
            match byte {
                b'"' => inside = true,
                b'[' | b'{' => depth += 1,
                b',' | b']' | b'}' | b':' if depth == 0 => {
                    length = at;
                    break;
                }
                b']' | b'}' if depth == 1 => {
                    length = at + 1;
                    break;
                }
                b']' | b'}' => depth -= 1,
                _ => {}
            }
        }
        let value = rest.get(..length).ok_or(Reason::Parse)?;
        self.at += length;
        let value = value.trim_end_matches([' ', '\t', '\n', '\r']);
        check(value, &ANY)?;
        Ok(value)
    }
}

/// Appends a string with quotes.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if letter < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(letter))),
            letter => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a piece of a document were taken for another, or read past its end.
    #[test]
    fn documents_are_read_piece_by_piece() {
        let mut reader = Reader::of(" [1.50 , \"a\\\"]\\u00e9\", {\"b\": [true, \"}\"]} ,null] ");
        assert!(reader.take(b'['));
        assert_eq!(reader.number(), Ok("1.50"));
        assert!(reader.take(b','));
        assert_eq!(reader.string().as_deref(), Ok("a\"]é"));
        assert!(reader.take(b','));
        assert_eq!(reader.document(), Ok("{\"b\": [true, \"}\"]}"));
        assert!(reader.take(b',') && reader.word("null") && reader.take(b']'));
        assert_eq!(reader.end(), Ok(()));
        for broken in ["", "\"a", "[1", "{", "tru", "1.", "\"\\x\"", "]"] {
            assert!(Reader::of(broken).document().is_err(), "{broken}");
        }
        assert_eq!(Reader::of("\"\\u0000\"").string(), Err(Reason::NulChar));
        assert_eq!(Reader::of("\"\\ud800\"").string(), Err(Reason::JsonSurrogate));
    }

    /// Broken if a string ended its quotes or lost a character.
    #[test]
    fn strings_are_escaped() {
        let mut out = String::new();
        write_string("a\"\\\n\u{1}é", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\n\\u0001é\"");
        assert_eq!(Reader::of(&out).string().as_deref(), Ok("a\"\\\n\u{1}é"));
    }
}
