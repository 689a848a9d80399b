//! Formulas from tokens. How a server writes names, texts and functions is its room's to say; what the signs
//! between them mean is the same for all, and what is not known is no formula.

use crate::model::formula::{Arithmetic, Cast, Comparison, Formula};

/// Formulas in formulas in formulas.
const DEPTH_MAX: u8 = 60;
/// Tokens of one formula.
const TOKENS_MAX: usize = 2000;

/// A word of an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A name in quotes.
    Name(String),
    /// A name or a word of SQL without quotes, in lower case.
    Word(String),
    /// Digits, with or without a point.
    Number(String),
    /// A text, without its quotes.
    Text(String),
    /// A sign.
    Sign(&'static str),
}

/// Signs of more than one letter, before those of one that they begin with.
const SIGNS: [&str; 20] = [
    "<=>", "<>", "!=", "<=", ">=", "~~", "||", "::", "<", ">", "=", "+", "-", "*", "%", "(", ")",
    ",", "[", "]",
];

/// The sign that a text begins with.
pub fn sign(text: &str) -> Option<&'static str> {
    SIGNS.into_iter().chain(["."]).find(|sign| text.starts_with(sign))
}

/// The digits that a text begins with, with or without a point; none of an exponent.
pub fn number(text: &str) -> Option<&str> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.');
    let number = text.get(..end.unwrap_or(text.len()))?;
    let is_alone =
        !text.get(number.len()..)?.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit())
        && number.matches('.').count() <= 1;
    (is_alone && is_number).then_some(number)
}

/// The word that a text begins with.
pub fn word(text: &str) -> Option<&str> {
    if !text.starts_with(|letter: char| letter.is_alphabetic() || letter == '_') {
        return None;
    }
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != '$');
    text.get(..end.unwrap_or(text.len()))
}

/// The formula that tokens make; `None` where a part of them is not known.
pub fn parse(tokens: Vec<Token>) -> Option<Formula> {
    if tokens.len() > TOKENS_MAX {
        return None;
    }
    let mut parser = Parser { tokens, at: 0, depth: 0 };
    let formula = parser.any()?;
    (parser.at == parser.tokens.len()).then_some(formula)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u8,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at)?.clone();
        self.at += 1;
        Some(token)
    }

    /// Passes over a sign, if it is the next.
    fn sign(&mut self, sign: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Sign(own)) if *own == sign);
        self.at += usize::from(is_next);
        is_next
    }

    /// Passes over a word, if it is the next.
    fn word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Word(own)) if own == word);
        self.at += usize::from(is_next);
        is_next
    }

    fn any(&mut self) -> Option<Formula> {
        self.depth = self.depth.checked_add(1).filter(|depth| *depth < DEPTH_MAX)?;
        let mut formula = self.all()?;
        while self.word("or") {
            formula = Formula::Or(formula.into(), self.all()?.into());
        }
        self.depth -= 1;
        Some(formula)
    }

    fn all(&mut self) -> Option<Formula> {
        let mut formula = self.not()?;
        while self.word("and") {
            formula = Formula::And(formula.into(), self.not()?.into());
        }
        Some(formula)
    }

    fn not(&mut self) -> Option<Formula> {
        let mut count = 0_u32;
        while self.word("not") {
            count += 1;
        }
        let formula = self.predicate()?;
        Some((0..count).fold(formula, |formula, _| Formula::Not(formula.into())))
    }

    fn predicate(&mut self) -> Option<Formula> {
        let left = self.sum()?;
        if self.word("is") {
            let is_not = self.word("not");
            let is_null = self.word("null").then(|| Formula::IsNull(left.into()))?;
            return Some(if is_not { Formula::Not(is_null.into()) } else { is_null });
        }
        let is_not = self.word("not");
        let formula = if self.word("in") {
            self.sign("(").then_some(())?;
            let list = self.list(")")?;
            one_of(&left, list)?
        } else if self.word("between") {
            let from = self.sum()?;
            self.word("and").then_some(())?;
            let to = self.sum()?;
            Formula::And(
                compare(Comparison::GreaterOrEqual, left.clone(), from).into(),
                compare(Comparison::LessOrEqual, left, to).into(),
            )
        } else if self.word("like") {
            self.like(left)?
        } else if is_not {
            return None;
        } else {
            return self.comparison(left);
        };
        Some(if is_not { Formula::Not(formula.into()) } else { formula })
    }

    fn like(&mut self, left: Formula) -> Option<Formula> {
        match self.sum()? {
            Formula::Text(pattern) => Some(Formula::Like(left.into(), pattern)),
            _ => None,
        }
    }

    fn comparison(&mut self, left: Formula) -> Option<Formula> {
        if self.sign("~~") {
            return self.like(left);
        }
        let how = match self.peek() {
            Some(Token::Sign("=")) => Comparison::Equal,
            Some(Token::Sign("<>" | "!=")) => Comparison::Differs,
            Some(Token::Sign("<")) => Comparison::Less,
            Some(Token::Sign("<=")) => Comparison::LessOrEqual,
            Some(Token::Sign(">")) => Comparison::Greater,
            Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
            _ => return Some(left),
        };
        self.at += 1;
        let (any, all) = (self.word("any"), self.word("all"));
        match (any || all, how) {
            (false, _) => Some(compare(how, left, self.sum()?)),
            (true, Comparison::Equal) if any => one_of(&left, self.array()?),
            (true, Comparison::Differs) if all => {
                Some(Formula::Not(one_of(&left, self.array()?)?.into()))
            }
            _ => None,
        }
    }

    /// The members of an array, which may be cast as a whole.
    fn array(&mut self) -> Option<Vec<Formula>> {
        if self.word("array") {
            self.sign("[").then_some(())?;
            return self.list("]");
        }
        self.depth = self.depth.checked_add(1).filter(|depth| *depth < DEPTH_MAX)?;
        self.sign("(").then_some(())?;
        let list = self.array()?;
        self.sign(")").then_some(())?;
        if self.sign("::") {
            self.type_name()?;
        }
        self.depth -= 1;
        Some(list)
    }

    /// Formulas up to a closing sign.
    fn list(&mut self, end: &str) -> Option<Vec<Formula>> {
        let mut list = vec![self.any()?];
        while self.sign(",") {
            list.push(self.any()?);
        }
        self.sign(end).then_some(list)
    }

    fn sum(&mut self) -> Option<Formula> {
        let mut left = self.product()?;
        loop {
            left = if self.sign("+") {
                Formula::Arithmetic(Arithmetic::Plus, left.into(), self.product()?.into())
            } else if self.sign("-") {
                Formula::Arithmetic(Arithmetic::Minus, left.into(), self.product()?.into())
            } else if self.sign("||") {
                Formula::Concat(left.into(), self.product()?.into())
            } else {
                return Some(left);
            };
        }
    }

    fn product(&mut self) -> Option<Formula> {
        let mut left = self.signed()?;
        loop {
            let how = if self.sign("*") {
                Arithmetic::Times
            } else if self.sign("%") || self.word("mod") {
                Arithmetic::Remainder
            } else {
                return Some(left);
            };
            left = Formula::Arithmetic(how, left.into(), self.signed()?.into());
        }
    }

    fn signed(&mut self) -> Option<Formula> {
        if self.sign("-") {
            return Some(Formula::Negative(self.cast()?.into()));
        }
        self.cast()
    }

    fn cast(&mut self) -> Option<Formula> {
        let mut formula = self.primary()?;
        while self.sign("::") {
            let name = self.type_name()?;
            formula = cast(formula, &name)?;
        }
        Some(formula)
    }

    /// The name of a type, in one text.
    fn type_name(&mut self) -> Option<String> {
        const FURTHER: [&str; 6] = ["varying", "precision", "without", "with", "time", "zone"];
        let mut name = match self.next()? {
            Token::Word(name) => name,
            // No built-in type that is known here is printed in quotes.
            Token::Name(name) => format!("\"{name}\""),
            _ => return None,
        };
        while self.sign(".") {
            match self.next()? {
                Token::Word(part) | Token::Name(part) => name = format!("{name}.{part}"),
                _ => return None,
            }
        }
        while let Some(Token::Word(word)) = self.peek()
            && FURTHER.contains(&word.as_str())
        {
            name = format!("{name} {word}");
            self.at += 1;
        }
        if self.sign("[") {
            self.sign("]").then_some(())?;
            name.push_str("[]");
        }
        Some(name)
    }

    fn primary(&mut self) -> Option<Formula> {
        if self.sign("(") {
            let formula = self.any()?;
            return self.sign(")").then_some(formula);
        }
        let (name, is_word) = match self.next()? {
            Token::Number(number) => return Some(Formula::Number(number)),
            Token::Text(text) => return Some(Formula::Text(text)),
            Token::Word(word) if word == "true" => return Some(Formula::Truth(true)),
            Token::Word(word) if word == "false" => return Some(Formula::Truth(false)),
            Token::Word(word) => (word, true),
            Token::Name(name) => (name, false),
            Token::Sign(_) => return None,
        };
        if self.sign("(") {
            return self.call(&name);
        }
        const WORDS: [&str; 12] = [
            "and", "or", "not", "is", "null", "in", "between", "like", "any", "all", "array",
            "case",
        ];
        // What follows a column is never another name: there it is an operator that is not known.
        (!is_word || !WORDS.contains(&name.as_str())).then_some(Formula::Column(name))
    }

    fn call(&mut self, name: &str) -> Option<Formula> {
        let first = self.any()?;
        if name == "convert" {
            let is_same = self.word("using") && (self.word("utf8mb4") || self.word("utf8mb3"));
            return (is_same && self.sign(")")).then(|| Formula::Cast(first.into(), Cast::Text));
        }
        let mut rest = Vec::new();
        while self.sign(",") {
            rest.push(self.any()?);
        }
        self.sign(")").then_some(())?;
        match (name, rest.as_slice()) {
            ("char_length" | "character_length", []) => Some(Formula::Characters(first.into())),
            ("octet_length", []) => Some(Formula::Bytes(first.into())),
            ("left", [Formula::Number(count)]) => {
                Some(Formula::Start(first.into(), count.parse().ok()?))
            }
            // NULL where one of them is: so it is in MySQL and MariaDB, whose function it is.
            ("concat_or_null", [_, ..]) => Some(
                rest.into_iter()
                    .fold(first, |left, right| Formula::Concat(left.into(), right.into())),
            ),
            _ => None,
        }
    }
}

fn compare(how: Comparison, left: Formula, right: Formula) -> Formula {
    Formula::Compare(how, left.into(), right.into())
}

/// Whether a value is one of a list.
fn one_of(left: &Formula, list: Vec<Formula>) -> Option<Formula> {
    let equal = |right| compare(Comparison::Equal, left.clone(), right);
    list.into_iter().map(equal).reduce(|one, other| Formula::Or(one.into(), other.into()))
}

/// A value as another type; a literal becomes one of that type.
fn cast(formula: Formula, name: &str) -> Option<Formula> {
    let to = match name {
        "text" | "character varying" | "bpchar" => Some(Cast::Text),
        "numeric" => Some(Cast::Number),
        "smallint" | "integer" | "bigint" => Some(Cast::Whole),
        "double precision" => Some(Cast::Float),
        _ => None,
    };
    match (formula, to) {
        (Formula::Text(text), None | Some(Cast::Text)) => Some(Formula::Text(text)),
        (Formula::Text(text), Some(_)) => {
            let digits = text.strip_prefix('-').unwrap_or(&text);
            let number = Formula::Number(number(digits).filter(|own| *own == digits)?.to_owned());
            Some(if digits == text { number } else { Formula::Negative(number.into()) })
        }
        (Formula::Number(number), Some(Cast::Whole)) if number.contains('.') => None,
        (Formula::Number(number), Some(Cast::Number | Cast::Whole | Cast::Float)) => {
            Some(Formula::Number(number))
        }
        (formula, Some(to)) => Some(Formula::Cast(formula.into(), to)),
        (_, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token> {
        let mut rest = text.trim_start();
        let mut tokens = Vec::new();
        while !rest.is_empty() {
            let (token, length) = if let Some(quoted) = rest.strip_prefix('\'') {
                let end = quoted.find('\'').expect("a quote");
                (Token::Text(quoted[..end].to_owned()), end + 2)
            } else if let Some(word) = word(rest) {
                (Token::Word(word.to_owned()), word.len())
            } else if let Some(number) = number(rest) {
                (Token::Number(number.to_owned()), number.len())
            } else {
                let sign = sign(rest).unwrap_or_else(|| panic!("{rest}"));
                (Token::Sign(sign), sign.len())
            };
            tokens.push(token);
            rest = rest[length..].trim_start();
        }
        tokens
    }

    fn read(text: &str) -> Option<Formula> {
        parse(tokens(text))
    }

    /// Broken if brackets that a server leaves out were set elsewhere.
    #[test]
    fn what_binds_closer_is_joined_first() {
        for (bare, full) in [
            ("a > 0 and b < 5 or c = 1", "((a > 0) and (b < 5)) or (c = 1)"),
            ("a + b * 2 - c >= 1.50", "((a + (b * 2)) - c) >= 1.50"),
            ("not a = 1 and b", "(not (a = 1)) and b"),
            ("a between 1 and 10 or b", "((a >= 1) and (a <= 10)) or b"),
            ("a in (1, 2, 3)", "((a = 1) or (a = 2)) or (a = 3)"),
            ("a = any (array[1, 2])", "(a = 1) or (a = 2)"),
            ("a <> all (array[1, 2])", "not ((a = 1) or (a = 2))"),
            ("(v)::text = any ((array['x'::character varying])::text[])", "(v)::text = 'x'"),
            ("a not in (4, 5)", "not ((a = 4) or (a = 5))"),
            ("a is not null", "not (a is null)"),
            ("a > '-5'::integer", "a > -5"),
            ("a mod 2 = 0", "(a % 2) = 0"),
            ("v ~~ 'a%'::text", "v like 'a%'"),
        ] {
            assert!(read(full).is_some(), "{full}");
            assert_eq!(read(bare), read(full), "{bare}");
        }
    }

    /// Broken if a part that is not known were passed over, or a deep expression took the stack.
    #[test]
    fn what_is_not_known_is_no_formula() {
        let deep = format!("{}a{}", "(".repeat(1000), ")".repeat(1000));
        let nots = format!("{}a", "not ".repeat(3000));
        for text in [
            "a <=> b",
            "a = 1 xor b = 2",
            "a div 2",
            "upper(v) = v",
            "a is distinct from b",
            "a =",
            "",
            "a b",
            "a = any (b)",
            "(a)::real > 0",
            "(a = 1",
            "a = 1)",
            "case when a then b end",
            "a[1] = 1",
            "concat(v, v)",
            "a < b < c",
            "a is true",
            "f(a)",
            "a = 1 collate x",
            &deep,
            &nots,
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(number("1e5"), None);
        assert_eq!(number("1.2.3"), None);
    }
}
