//! What a server computes of a row's columns (checks, computed columns, indexes over expressions), as far as
//! weir understands it. Plain data: no dialect's words are in it.
//!
//! Lists and ranges are comparisons joined by AND and OR, which they are to every server.

use std::collections::BTreeSet;

/// An expression over columns of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Formula {
    /// A column's value.
    Column(String),
    /// A number without a sign, as digits with or without a point.
    Number(String),
    /// A text.
    Text(String),
    /// A truth value.
    Truth(bool),
    /// The opposite.
    Not(Box<Formula>),
    /// Both.
    And(Box<Formula>, Box<Formula>),
    /// Either.
    Or(Box<Formula>, Box<Formula>),
    /// How two values compare.
    Compare(Comparison, Box<Formula>, Box<Formula>),
    /// Whether there is no value.
    IsNull(Box<Formula>),
    /// Whether a text is like a pattern.
    Like(Box<Formula>, String),
    /// What two numbers make.
    Arithmetic(Arithmetic, Box<Formula>, Box<Formula>),
    /// A number with the other sign.
    Negative(Box<Formula>),
    /// How many characters a text has.
    Characters(Box<Formula>),
    /// How many bytes a text has.
    Bytes(Box<Formula>),
    /// One text behind the other.
    Concat(Box<Formula>, Box<Formula>),
    /// The first characters of a text.
    Start(Box<Formula>, u32),
    /// The same value as another type has it.
    Cast(Box<Formula>, Cast),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    Differs,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// What is made of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Times,
    /// `%`, with the sign of the first.
    Remainder,
}

/// Types that a value can be had as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cast {
    /// A text of any length.
    Text,
    /// An exact number of any length.
    Number,
    /// An integer.
    Whole,
    /// A float of 64 bits.
    Float,
}

impl Comparison {
    /// The sign in SQL, the same in every dialect.
    pub fn sql(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::Differs => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }

    /// Whether it asks only if two values are the same.
    pub fn is_equality(self) -> bool {
        matches!(self, Comparison::Equal | Comparison::Differs)
    }
}

impl Arithmetic {
    /// The sign in SQL, the same in every dialect.
    pub fn sql(self) -> &'static str {
        match self {
            Arithmetic::Plus => "+",
            Arithmetic::Minus => "-",
            Arithmetic::Times => "*",
            Arithmetic::Remainder => "%",
        }
    }
}

impl Formula {
    /// The columns that it is over.
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.add_columns(&mut names);
        names
    }

    fn add_columns<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        match self {
            Formula::Column(name) => {
                names.insert(name);
            }
            Formula::Number(_) | Formula::Text(_) | Formula::Truth(_) => {}
            Formula::Not(of)
            | Formula::IsNull(of)
            | Formula::Like(of, _)
            | Formula::Negative(of)
            | Formula::Characters(of)
            | Formula::Bytes(of)
            | Formula::Start(of, _)
            | Formula::Cast(of, _) => of.add_columns(names),
            Formula::And(one, other)
            | Formula::Or(one, other)
            | Formula::Compare(_, one, other)
            | Formula::Arithmetic(_, one, other)
            | Formula::Concat(one, other) => {
                one.add_columns(names);
                other.add_columns(names);
            }
        }
    }

    /// The same over columns of other names; `None` where one has none.
    pub fn renamed(&self, name: &impl Fn(&str) -> Option<String>) -> Option<Formula> {
        let one = |of: &Formula| of.renamed(name).map(Box::new);
        Some(match self {
            Formula::Column(own) => Formula::Column(name(own)?),
            Formula::Number(_) | Formula::Text(_) | Formula::Truth(_) => self.clone(),
            Formula::Not(of) => Formula::Not(one(of)?),
            Formula::IsNull(of) => Formula::IsNull(one(of)?),
            Formula::Like(of, pattern) => Formula::Like(one(of)?, pattern.clone()),
            Formula::Negative(of) => Formula::Negative(one(of)?),
            Formula::Characters(of) => Formula::Characters(one(of)?),
            Formula::Bytes(of) => Formula::Bytes(one(of)?),
            Formula::Start(of, count) => Formula::Start(one(of)?, *count),
            Formula::Cast(of, to) => Formula::Cast(one(of)?, *to),
            Formula::And(left, right) => Formula::And(one(left)?, one(right)?),
            Formula::Or(left, right) => Formula::Or(one(left)?, one(right)?),
            Formula::Concat(left, right) => Formula::Concat(one(left)?, one(right)?),
            Formula::Compare(how, left, right) => Formula::Compare(*how, one(left)?, one(right)?),
            Formula::Arithmetic(how, left, right) => {
                Formula::Arithmetic(*how, one(left)?, one(right)?)
            }
        })
    }
}
