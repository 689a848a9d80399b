//! A row in 16 bytes: what is kept of it until the other side's row has been read.
//!
//! SHA-256, cut to 128 bits: the library is in the tree already and computes it as fast as rows are read,
//! and no value that somebody writes on purpose makes two different rows look equal, as it could with a
//! hash that is only fast.

use sha2::{Digest as _, Sha256};

use crate::error::Result;
use crate::model::Row;
use crate::verify::canonical::{self, Form};

/// What stands for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digest([u8; 16]);

/// Of a row of the plan, whose columns have these forms. `buffer` is for whoever digests many rows.
///
/// # Errors
/// As [`canonical::write`].
pub fn digest(forms: &[Form], row: &Row, buffer: &mut Vec<u8>) -> Result<Digest> {
    buffer.clear();
    for (form, value) in forms.iter().zip(row.iter()) {
        canonical::write(form, value, buffer)?;
    }
    let whole = Sha256::digest(&*buffer);
    let mut half = [0; 16];
    for (to, from) in half.iter_mut().zip(whole.iter()) {
        *to = *from;
    }
    Ok(Digest(half))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::plan::key::tests::value;
    use proptest::prelude::*;

    proptest! {
        /// Broken if a row that differs in one value passed for equal, or one that is equal did not.
        #[test]
        fn rows_have_one_digest_exactly_where_they_are_equal(
            one in prop::collection::vec(value(), 1..4),
            other in prop::collection::vec(value(), 1..4),
        ) {
            let known = |values: Vec<Value>| -> Row {
                values.into_iter().filter(Value::is_known).collect()
            };
            let (one, other) = (known(one), known(other));
            let forms = [const { Form::Plain }; 4];
            let mut buffer = Vec::new();
            let first = digest(&forms, &one, &mut buffer).unwrap();
            prop_assert_eq!(first, digest(&forms, &one, &mut buffer).unwrap());
            if one.len() == other.len() {
                let second = digest(&forms, &other, &mut buffer).unwrap();
                let differ = canonical::differing(&forms[..one.len()], &one, &other).unwrap();
                prop_assert_eq!(first == second, differ.is_empty());
            }
        }
    }

    /// Broken if values could move from one column into the next unseen.
    #[test]
    fn the_border_between_columns_counts() {
        let row = |one: &str, other: &str| -> Row {
            [one, other].map(|text| Value::Text(text.into())).into_iter().collect()
        };
        let forms = [const { Form::Plain }; 2];
        let mut buffer = Vec::new();
        let mut of = |one, other| digest(&forms, &row(one, other), &mut buffer).unwrap();
        assert_ne!(of("ab", "c"), of("a", "bc"));
    }
}
