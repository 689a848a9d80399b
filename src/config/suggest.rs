//! "Did you mean": the known word nearest to a misspelled one.
//!
//! Pure and bounded: words longer than 64 characters get no suggestion.

/// Longest word that is compared, in characters.
const WORD_CHARS_MAX: usize = 64;

/// The candidate nearest to `word`, if it is near enough to be meant.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let length = word.chars().count();
    if length > WORD_CHARS_MAX {
        return None;
    }
    let limit = (length / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.chars().count() <= WORD_CHARS_MAX)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}

/// `did you mean "x"?`, or else the whole list.
pub(crate) fn did_you_mean(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// Edits between two words: insert, delete, replace, or exchange two neighbours.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, x) in a.to_lowercase().chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
            let replace = at(&row, j) + usize::from(x != *y);
            let mut best = replace.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped = j > 0 && previous == Some(*y) && b.get(j - 1) == Some(&x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        previous = Some(x);
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if an ordinary slip got no suggestion, or a wholly different word got one.
    #[test]
    fn slips_are_recognised() {
        let known = ["tables", "exclude", "into", "rename"];
        assert_eq!(nearest("table", known), Some("tables"));
        assert_eq!(nearest("talbes", known), Some("tables"));
        assert_eq!(nearest("Exclude", known), Some("exclude"));
        assert_eq!(nearest("webhook", known), None);
        assert_eq!(nearest("x", known), None);
        assert_eq!(nearest(&"e".repeat(100_000), known), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
