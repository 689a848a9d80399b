//! Arbitrary text: never a panic, always either a configuration or problems with a place.

use proptest::prelude::*;

use super::parsed;

const REFERENCE: &str = include_str!("../../../config/reference.toml");

proptest! {
    /// Broken if a slip of the keyboard could crash weir or be reported outside of the file.
    #[test]
    fn mutated_reference(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, piece()), 1..6),
    ) {
        let mut text: Vec<char> = REFERENCE.chars().collect();
        for (index, removed, piece) in &edits {
            let at = index.index(text.len());
            let end = (at + removed * removed * removed).min(text.len());
            text.splice(at..end, piece.chars());
        }
        told(&text.into_iter().collect::<String>())?;
    }

    /// Broken if lines that were moved, lost or doubled in an editor could crash weir; most of them
    /// are still TOML, so that what they mean is checked too.
    #[test]
    fn moved_lines(
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..8),
    ) {
        let mut lines: Vec<&str> = REFERENCE.lines().filter(|line| !line.starts_with('#')).collect();
        for (from, to, keep) in &moves {
            let line = lines[from.index(lines.len())];
            if !keep {
                lines.remove(from.index(lines.len()));
            }
            lines.insert(to.index(lines.len()), line);
        }
        told(&lines.join("\n"))?;
    }

    /// Broken if text that is nothing like TOML could crash weir.
    #[test]
    fn any_text(text in r#"([\[\]{}=.,"'#\n\\]|[a-z_]{1,8}|table|column|in|\PC){0,120}"#) {
        told(&text)?;
    }
}

/// What a person or an editor may put somewhere by mistake.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        r#"[\[\]{}=.,"'\n\\ ]{0,3}"#,
        r"\PC{0,6}",
        Just("[table.customer.in]\n".to_owned()),
        Just("\n[[replicate]]\n".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("in.crm = 'a.b'\n".to_owned()),
    ]
}

fn told(text: &str) -> Result<(), TestCaseError> {
    let Err(problems) = parsed(text) else { return Ok(()) };
    prop_assert!(problems.iter().next().is_some());
    for problem in problems.iter() {
        prop_assert_eq!(problem.file.as_str(), "weir.toml");
        prop_assert!(!problem.message.is_empty());
        prop_assert!((1..=text.split('\n').count()).contains(&problem.line), "{}", problem);
    }
    Ok(())
}
