//! The canonical bytes of a JSON document (type-mapping §3.4): names sorted, numbers by value, escapes
//! resolved, blanks gone.
//!
//! One pass into one buffer, without recursion, so that nesting takes no stack. Numbers of any length are
//! exact. Names that come twice in an object all count, in their order. Not here: what a target takes
//! (`transform/json`).

/// Members sorted by length, then bytes: as jsonb and MySQL print them, so that there is mostly nothing
/// to move.
struct Member {
    /// Where its name begins in the output, and where the name's text lies there.
    begin: usize,
    name: (usize, usize),
}

enum Open {
    Array,
    Object { begin: usize, members: Vec<Member> },
}

/// Appends the document's bytes, of which none is the beginning of another's; `None`, with anything
/// appended, where the text is no document.
pub(super) fn write(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut writer = Writer { text: text.as_bytes(), at: 0, out, open: Vec::new() };
    loop {
        if writer.value()? {
            continue;
        }
        // A value is complete: close what it ends, up to the next value that is due.
        loop {
            writer.blanks();
            let in_array = match writer.open.last() {
                None => return (writer.at == writer.text.len()).then_some(()),
                Some(open) => matches!(open, Open::Array),
            };
            match writer.next()? {
                b',' if in_array => break,
                b',' => {
                    writer.name()?;
                    break;
                }
                b']' if in_array => writer.close_array(),
                b'}' if !in_array => writer.close_object(),
                _ => return None,
            }
        }
    }
}

struct Writer<'a> {
    text: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
    open: Vec<Open>,
}

impl<'a> Writer<'a> {
    /// Writes a value, or the start of one; true where another value is due at once.
    fn value(&mut self) -> Option<bool> {
        self.blanks();
        match self.peek()? {
            b'{' => {
                self.at += 1;
                self.out.push(b'{');
                let begin = self.out.len();
                self.open.push(Open::Object { begin, members: Vec::new() });
                self.blanks();
                if self.peek()? == b'}' {
                    self.at += 1;
                    self.close_object();
                    return Some(false);
                }
                self.name()?;
                Some(true)
            }
            b'[' => {
                self.at += 1;
                self.out.push(b'[');
                self.open.push(Open::Array);
                self.blanks();
                if self.peek()? == b']' {
                    self.at += 1;
                    self.close_array();
                    return Some(false);
                }
                Some(true)
            }
            b'"' => self.string().map(|_| false),
            b'-' | b'0'..=b'9' => self.number().map(|()| false),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => None,
        }
    }

    fn close_array(&mut self) {
        self.open.pop();
        self.out.push(b']');
    }

    /// Sorts the members, which lie one behind the other at the end of the output.
    fn close_object(&mut self) {
        if let Some(Open::Object { begin, members }) = self.open.pop() {
            let name = |member: &Member| {
                let text = self.out.get(member.name.0..member.name.1).unwrap_or_default();
                (text.len(), text)
            };
            if !members.is_sorted_by(|one, other| name(one) <= name(other)) {
                let ends = members.iter().skip(1).map(|next| next.begin).chain([self.out.len()]);
                let mut spans: Vec<_> = members.iter().zip(ends).collect();
                spans.sort_by(|(one, _), (other, _)| name(one).cmp(&name(other)));
                let mut sorted = Vec::with_capacity(self.out.len() - begin);
                for (member, end) in spans {
                    sorted.extend_from_slice(self.out.get(member.begin..end).unwrap_or_default());
                }
                self.out.truncate(begin);
                self.out.extend_from_slice(&sorted);
            }
        }
        self.out.push(b'}');
    }

    /// A member's name and its colon.
    fn name(&mut self) -> Option<()> {
        self.blanks();
        let begin = self.out.len();
        let name = (self.peek()? == b'"').then(|| self.string())??;
        if let Some(Open::Object { members, .. }) = self.open.last_mut() {
            members.push(Member { begin, name });
        }
        self.blanks();
        (self.next()? == b':').then_some(())
    }

    /// A string as its length and the bytes of its characters; where these lie. Halves of a pair that
    /// stand alone have three bytes each, as no character of UTF-8 has.
    fn string(&mut self) -> Option<(usize, usize)> {
        const LENGTH: usize = size_of::<u64>();
        self.at += 1;
        self.out.push(b'"');
        let begin = self.out.len() + LENGTH;
        self.out.extend_from_slice(&[0; LENGTH]);
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => self.escape()?,
                0..=0x1f => return None,
                byte => self.out.push(byte),
            }
        }
        let length = (self.out.len() - begin) as u64;
        self.out.get_mut(begin - LENGTH..begin)?.copy_from_slice(&length.to_le_bytes());
        Some((begin, self.out.len()))
    }

    fn escape(&mut self) -> Option<()> {
        let byte = match self.next()? {
            byte @ (b'"' | b'\\' | b'/') => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unit(),
            _ => return None,
        };
        self.out.push(byte);
        Some(())
    }

    fn unit(&mut self) -> Option<()> {
        let mut unit = self.hex()?;
        if (0xd800..0xdc00).contains(&unit) {
            let mark = self.at;
            let second = (self.next() == Some(b'\\') && self.next() == Some(b'u'))
                .then(|| self.hex())
                .flatten()
                .filter(|low| (0xdc00..0xe000).contains(low));
            match second {
                Some(low) => unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00),
                None => self.at = mark,
            }
        }
        match char::from_u32(unit) {
            Some(character) => {
                self.out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            None => {
                let part = |shift: u32| 0x80 | (unit >> shift & 0x3f) as u8;
                self.out.extend([0xe0 | (unit >> 12) as u8, part(6), part(0)]);
            }
        }
        Some(())
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        digits.iter().try_fold(0, |unit, byte| Some(unit * 16 + digit(byte)?))
    }

    /// A number as its sign, its digits from the first to the last that is not zero, and where the point
    /// lies among them.
    fn number(&mut self) -> Option<()> {
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let whole = self.digits()?;
        if whole.len() > 1 && whole.first() == Some(&b'0') {
            return None;
        }
        let fraction = match self.peek() {
            Some(b'.') => {
                self.at += 1;
                self.digits()?
            }
            _ => &[],
        };
        let exponent = match self.peek() {
            Some(b'e' | b'E') => self.exponent()?,
            _ => 0,
        };
        let all = || whole.iter().chain(fraction);
        let leading = all().take_while(|digit| **digit == b'0').count();
        let length = whole.len() + fraction.len();
        let trailing = all().rev().take_while(|digit| **digit == b'0').count();
        let kept = length.saturating_sub(leading + trailing);
        let point = exponent.checked_add(whole.len() as i128 - leading as i128)?;
        self.out.extend([b'0', u8::from(negative && kept > 0)]);
        self.out.extend_from_slice(&if kept == 0 { 0 } else { point }.to_le_bytes());
        self.out.extend_from_slice(&(kept as u64).to_le_bytes());
        self.out.extend(all().skip(leading).take(kept));
        Some(())
    }

    /// The exponent; a document with one beyond this number type is not compared by value.
    fn exponent(&mut self) -> Option<i128> {
        self.at += 1;
        let sign = self.peek()?;
        self.at += usize::from(matches!(sign, b'+' | b'-'));
        let size: i128 = std::str::from_utf8(self.digits()?).ok()?.parse().ok()?;
        Some(if sign == b'-' { -size } else { size })
    }

    /// Digits, one at least.
    fn digits(&mut self) -> Option<&'a [u8]> {
        let (text, begin) = (self.text, self.at);
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        text.get(begin..self.at).filter(|digits| !digits.is_empty())
    }

    fn word(&mut self, word: &[u8]) -> Option<bool> {
        self.text.get(self.at..)?.starts_with(word).then(|| {
            self.at += word.len();
            self.out.extend(word.first());
            false
        })
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }
}

#[cfg(test)]
mod tests;
