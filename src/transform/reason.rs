//! Why a value does not fit: the reason codes that logs, metrics and records carry.
//!
//! A reason never holds the value itself.

use std::fmt;

/// Declares the reasons once, with their code and a phrase for people.
macro_rules! reasons {
    ($($reason:ident, $name:literal, $phrase:literal;)+) => {
        /// Why a value does not fit the target column.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $(#[doc = $phrase] $reason,)+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Reason] = &[$(Reason::$reason,)+];

            /// The code, in snake case.
            pub const fn name(self) -> &'static str {
                match self { $(Reason::$reason => $name,)+ }
            }

            /// The code in words, a lower-case phrase.
            pub const fn phrase(self) -> &'static str {
                match self { $(Reason::$reason => $phrase,)+ }
            }
        }
    };
}

reasons! {
    OutOfRange, "out_of_range", "the value is outside the target column's range";
    PrecisionLoss, "precision_loss", "the target column would round the value";
    NonFinite, "non_finite", "the target has no NaN or infinite numbers";
    Infinity, "infinity", "the target has no infinite dates";
    ZeroDate, "zero_date", "the value is a zero date";
    PartialDate, "partial_date", "the value is a date without month or day";
    InvalidDate, "invalid_date", "the value is a day that is not in the calendar";
    NotTimeOfDay, "not_time_of_day", "the value is a duration outside 00:00:00 to 24:00:00";
    NotBoolean, "not_boolean", "the value is neither 0 nor 1";
    TooLong, "too_long", "the value is too long for the target column";
    LengthChange, "length_change", "the target column would pad or trim the value";
    Charset, "charset", "a character is missing in the target column's character set";
    NulChar, "nul_char", "the text holds a NUL character, which PostgreSQL cannot store";
    EnumUnknown, "enum_unknown", "the target's enum lacks the label";
    EnumInvalid, "enum_invalid", "the value is MySQL's invalid enum value";
    JsonNumber, "json_number", "a number in the document cannot be held exactly by the target";
    JsonNul, "json_nul", "the document holds \\u0000, which jsonb cannot store";
    JsonSurrogate, "json_surrogate", "the document holds half a surrogate pair";
    JsonDepth, "json_depth", "the document is nested too deeply";
    JsonDuplicateKey, "json_duplicate_key", "an object holds the same name twice";
    ArrayBounds, "array_bounds", "the array does not begin at 1, or is one of lists";
    InetMask, "inet_mask", "the address has a mask, which the target lacks";
    GeometryUnsupported, "geometry_unsupported", "the target has no such geometry";
    Parse, "parse", "the text is not what its column promises";
    Validation, "validation", "a rule rejects the value";
    NullNotAllowed, "null_not_allowed", "the target column takes no NULL";
    MissingValue, "missing_value", "the log does not hold a value that is needed";
    PairNeedsRule, "pair_needs_rule", "the value is of a kind that this column pair has no rule for";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.phrase())
    }
}
