//! Whether an `ALTER TABLE` keeps every row and value that the target holds.
//!
//! The clauses on the list below do; a clause that is not on it may convert, empty or drop what is
//! in the table without a row in the log. A new column is not on the target yet: the first row
//! that holds it says so. A new partitioning keeps all rows too: one without a partition is an
//! error.
//! Sources: MySQL and MariaDB manuals, "ALTER TABLE".

use super::tokens::Token;

/// What an `ALTER TABLE` does to rows that the log does not hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// Nothing yet: from now on a foreign key of the table changes rows by itself.
    ActingKey,
    /// It may change rows.
    Changes {
        /// The clause's first word.
        clause: String,
        /// The columns whose values alone may change; none where it is more than that.
        columns: Vec<String>,
    },
}

/// The effect of an `ALTER TABLE`; `tokens` follow the table's name.
pub(super) fn effect(tokens: &[Token]) -> Effect {
    let tokens = match tokens {
        [first, rest @ ..] if first.is("NOWAIT") => rest,
        [first, _, rest @ ..] if first.is("WAIT") => rest,
        all => all,
    };
    let (mut acting, mut ordered) = (false, false);
    let (mut retyping, mut columns) = (None, Vec::new());
    for clause in clauses(tokens).into_iter().map(without_partitioning) {
        ordered |= pair(clause, "ORDER", "BY");
        if ordered && is_order(clause) {
            continue;
        }
        acting |= is_acting_key(clause);
        if keeps_rows(clause) {
            continue;
        }
        match retyped(clause) {
            Some(column) => columns.push(column.to_owned()),
            None => return Effect::Changes { clause: first_word(clause), columns: Vec::new() },
        }
        retyping = retyping.or(Some(clause));
    }
    match retyping {
        Some(clause) if acting => {
            Effect::Changes { clause: first_word(clause), columns: Vec::new() }
        }
        Some(clause) => Effect::Changes { clause: first_word(clause), columns },
        None if acting => Effect::ActingKey,
        None => Effect::None,
    }
}

fn first_word(clause: &[Token]) -> String {
    match clause.first() {
        Some(Token::Word(word)) => word.to_ascii_uppercase(),
        _ => "a clause that weir does not know".to_owned(),
    }
}

/// The column that is given another type or name, if the clause does nothing else.
fn retyped(clause: &[Token]) -> Option<&str> {
    let (first, rest) = clause.split_first()?;
    let past = rest.iter().take_while(|token| token.is_any(&["COLUMN", "IF", "EXISTS"])).count();
    let (column, definition) = rest.get(past..)?.split_first()?;
    let more = definition.iter().any(|token| token.is_any(&["PRIMARY", "KEY", "REFERENCES"]));
    column.name().filter(|_| first.is_any(&["MODIFY", "CHANGE"]) && !more)
}

/// The clause without a `PARTITION BY …` or `REMOVE PARTITIONING`, which need no comma before them.
fn without_partitioning(clause: &[Token]) -> &[Token] {
    let found = clause
        .windows(2)
        .position(|two| pair(two, "PARTITION", "BY") || pair(two, "REMOVE", "PARTITIONING"));
    found.map_or(clause, |end| &clause[..end])
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

/// Whether `tokens` start with these two words.
fn pair(tokens: &[Token], first: &str, second: &str) -> bool {
    matches!(tokens, [one, two, ..] if one.is(first) && two.is(second))
}

/// A column to order by, behind `ORDER BY` or a comma.
fn is_order(clause: &[Token]) -> bool {
    let column = if pair(clause, "ORDER", "BY") { &clause[2..] } else { clause };
    match column {
        [name] => name.name().is_some(),
        [name, direction] => name.name().is_some() && direction.is_any(&["ASC", "DESC"]),
        _ => false,
    }
}

/// A foreign key that changes rows of its own, which may be one that the source does not log.
fn is_acting_key(clause: &[Token]) -> bool {
    let has = |words: &[&str]| clause.iter().any(|token| token.is_any(words));
    clause.first().is_some_and(|first| first.is("ADD"))
        && has(&["FOREIGN", "REFERENCES"])
        && has(&["CASCADE", "SET"])
}

pub(super) fn is_primary(token: &Token) -> bool {
    token.name().is_some_and(|name| name.eq_ignore_ascii_case("PRIMARY"))
}

fn keeps_rows(clause: &[Token]) -> bool {
    let at = |index: usize| clause.get(index).unwrap_or(&Token::Literal);
    let (first, second) = (at(0), at(1));
    if first.is("ADD") {
        let versioned = second.is("SYSTEM") && at(2).is("VERSIONING");
        let period = second.is("PERIOD") && at(2).is("FOR");
        let key = second.is("PRIMARY")
            || second.is("CONSTRAINT") && clause.iter().any(|token| token.is("PRIMARY"));
        return !versioned && !period && !key;
    }
    if first.is("DROP") {
        return second.is_any(&["INDEX", "KEY", "FOREIGN", "CONSTRAINT", "CHECK"])
            && !clause.iter().any(is_primary);
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
        || first.is_any(&["ENABLE", "DISABLE"]) && second.is("KEYS")
        || are_options(clause)
}

/// Whether all of it is options of the table, which blanks may separate: `COMMENT = 'a' FORCE`.
/// The character set and the collation of the table are those of columns to come.
fn are_options(mut clause: &[Token]) -> bool {
    const ALONE: [&str; 3] = ["FORCE", "SECONDARY_LOAD", "SECONDARY_UNLOAD"];
    while let [option, rest @ ..] = clause {
        clause = match rest {
            _ if option.is_any(&ALONE) => rest,
            [next, after @ ..] if next.is("VALIDATION") && option.is_any(&["WITH", "WITHOUT"]) => {
                after
            }
            [next, ..]
                if option.is("DEFAULT") && next.is_any(&["CHARACTER", "CHARSET", "COLLATE"]) =>
            {
                rest
            }
            [next, after @ ..] if option.is("CHARACTER") && next.is("SET") => match value(after) {
                Some((_, after)) => after,
                None => return false,
            },
            _ => match value(rest) {
                Some((value, after)) if is_harmless(option, value) => after,
                _ => return false,
            },
        };
    }
    true
}

/// The value of an option, perhaps behind a sign, and what follows.
fn value(tokens: &[Token]) -> Option<(&Token, &[Token])> {
    tokens.strip_prefix(&[Token::Sign('=')]).unwrap_or(tokens).split_first()
}

/// Whether an option with this value keeps all rows. MariaDB shows some options in quotes.
fn is_harmless(option: &Token, value: &Token) -> bool {
    const OPTIONS: [&str; 31] = [
        "ALGORITHM",
        "AUTOEXTEND_SIZE",
        "AUTO_INCREMENT",
        "AVG_ROW_LENGTH",
        "CHARSET",
        "CHECKSUM",
        "COLLATE",
        "COMMENT",
        "COMPRESSION",
        "DELAY_KEY_WRITE",
        "ENCRYPTED",
        "ENCRYPTION",
        "ENCRYPTION_KEY_ID",
        "ENGINE",
        "ENGINE_ATTRIBUTE",
        "INSERT_METHOD",
        "KEY_BLOCK_SIZE",
        "LOCK",
        "MAX_ROWS",
        "MIN_ROWS",
        "PACK_KEYS",
        "PAGE_COMPRESSED",
        "PAGE_COMPRESSION_LEVEL",
        "ROW_FORMAT",
        "SECONDARY_ENGINE",
        "SECONDARY_ENGINE_ATTRIBUTE",
        "STATS_AUTO_RECALC",
        "STATS_PERSISTENT",
        "STATS_SAMPLE_PAGES",
        "STORAGE",
        "TABLESPACE",
    ];
    let is = |word: &str| option.name().is_some_and(|name| name.eq_ignore_ascii_case(word));
    let other_engine =
        is("ENGINE") && value.name().is_none_or(|name| !name.eq_ignore_ascii_case("InnoDB"));
    OPTIONS.iter().any(|word| is(word)) && !other_engine
}
