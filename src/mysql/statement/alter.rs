//! Whether an `ALTER TABLE` keeps every row and value that the target holds.
//!
//! The clauses on the list below do; a clause that is not on it may convert, empty or drop what is
//! in the table without a row in the log. A new column is not on the target yet: the first row
//! that holds it says so.
//! Sources: MySQL and MariaDB manuals, "ALTER TABLE".

use super::tokens::Token;

/// The first clause (by its first word) that may change rows; `tokens` follow the table's name.
pub(super) fn changing(tokens: &[Token]) -> Option<String> {
    let tokens = match tokens {
        [first, rest @ ..] if first.is("NOWAIT") => rest,
        [first, _, rest @ ..] if first.is("WAIT") => rest,
        all => all,
    };
    let found = clauses(tokens).into_iter().find(|clause| !keeps_rows(clause))?;
    Some(match found.first() {
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        _ => "a clause that weir does not know".to_owned(),
    })
}

/// Splits at commas outside of parentheses.
fn clauses(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    let clauses = tokens.split(|token| {
        match token {
            Token::Sign('(') => depth += 1,
            Token::Sign(')') => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && *token == Token::Sign(',')
    });
    clauses.filter(|clause| !clause.is_empty()).collect()
}

fn keeps_rows(clause: &[Token]) -> bool {
    let at = |index: usize| clause.get(index).unwrap_or(&Token::Literal);
    let (first, second) = (at(0), at(1));
    let has = |words: &[&str]| clause.iter().any(|token| token.is_any(words));
    if first.is("ADD") {
        let versioned = second.is("SYSTEM") && at(2).is("VERSIONING");
        let period = second.is("PERIOD") && at(2).is("FOR");
        let key = second.is("PRIMARY") || second.is("CONSTRAINT") && has(&["PRIMARY"]);
        // A rule that changes rows of its own may be one that the source does not log.
        let acting = has(&["FOREIGN", "REFERENCES"]) && has(&["CASCADE", "SET"]);
        return !versioned && !period && !key && !acting;
    }
    if first.is("DROP") {
        let primary =
            |token: &Token| token.name().is_some_and(|name| name.eq_ignore_ascii_case("PRIMARY"));
        return second.is_any(&["INDEX", "KEY", "FOREIGN", "CONSTRAINT", "CHECK"])
            && !clause.iter().any(primary);
    }
    if second.is("PARTITION") {
        return first.is_any(&[
            "ANALYZE",
            "CHECK",
            "COALESCE",
            "OPTIMIZE",
            "REBUILD",
            "REORGANIZE",
        ]);
    }
    // An index, a constraint, or the default of a column.
    first.is("ALTER")
        || first.is("RENAME") && second.is_any(&["INDEX", "KEY"])
        || first.is("REMOVE") && second.is("PARTITIONING")
        || first.is_any(&["ENABLE", "DISABLE"]) && second.is("KEYS")
        || are_options(clause)
}

/// Whether all of it is options of the table, which blanks may separate: `COMMENT = 'a' FORCE`.
fn are_options(mut clause: &[Token]) -> bool {
    const WITH_VALUE: [&str; 10] = [
        "COMMENT",
        "AUTO_INCREMENT",
        "ALGORITHM",
        "LOCK",
        "ROW_FORMAT",
        "KEY_BLOCK_SIZE",
        "STATS_PERSISTENT",
        "STATS_AUTO_RECALC",
        "STATS_SAMPLE_PAGES",
        "ENGINE",
    ];
    while let [option, rest @ ..] = clause {
        if option.is("FORCE") {
            clause = rest;
            continue;
        }
        let [value, after @ ..] = rest.strip_prefix(&[Token::Sign('=')]).unwrap_or(rest) else {
            return false;
        };
        let other_engine = option.is("ENGINE")
            && value.name().is_none_or(|name| !name.eq_ignore_ascii_case("InnoDB"));
        if !option.is_any(&WITH_VALUE) || other_engine {
            return false;
        }
        clause = after;
    }
    true
}
