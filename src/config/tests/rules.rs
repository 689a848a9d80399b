//! Rules of columns and the settings of conversions: read, laid over each other, refused with their line.

use super::{HEAD, parsed, problems};
use crate::transform::rules::Choice;

const TABLE: &str = "[table.t]\nin.shop = 'shop.t'\nin.dwh = 'public.t'\nowner = 'shop'\n";

/// Broken if steps were lost, read in another order, or taken for another database.
#[test]
fn steps_are_read_in_their_order() {
    let text = format!(
        "{HEAD}[conversion]\nzero_date = 'null'\nnon_finite = 0\n{TABLE}\
         [table.t.conversion]\ntoo_long = 'truncate'\n[table.t.column]\n\
         a = {{ to.dwh = [{{ trim = 'both' }}, {{ round = {{ scale = 2 }} }}] }}\n\
         b = {{ conversion = {{ zero_date = '1970-01-01' }} }}\n"
    );
    let config = parsed(&text).unwrap();
    assert_eq!(config.conversion.get("zero_date"), Some(&Choice::Word("null")));
    assert_eq!(config.conversion.get("non_finite"), Some(&Choice::Value("0".to_owned())));
    let table = &config.tables[0];
    assert_eq!(table.conversion.get("too_long"), Some(&Choice::Word("truncate")));
    assert_eq!(
        table.column_conversions["b"].get("zero_date"),
        Some(&Choice::Value("1970-01-01".to_owned()))
    );
    let texts: Vec<_> = table.steps["a"]["dwh"].iter().map(|step| step.text()).collect();
    assert_eq!(texts, [r#"{"trim": "both"}"#, r#"{"round": {"scale": 2}}"#]);
}

/// Broken if a key could not come from a command, or its failure told what it printed.
#[test]
fn keys_come_from_commands() {
    let with = |command: &str| {
        let step = format!(
            "{{ encrypt = {{ algo = 'aes_256_gcm_siv', key = {{ command = {command} }} }} }}"
        );
        parsed(&format!("{HEAD}{TABLE}[table.t.column]\na = {{ to.dwh = [{step}] }}\n"))
    };
    let key = "5b".repeat(32);
    let config = with(&format!("['echo', '{key}']")).unwrap();
    let shown = config.tables[0].steps["a"]["dwh"][0].text();
    assert!(shown.contains(r#"{"command": ["echo"]}"#) && !shown.contains("5b5b"), "{shown}");
    for (command, expected) in [
        ("['echo', 'k3y']".to_owned(), "the key is 32 bytes"),
        ("['false', 'k3y']".to_owned(), "failed: exit status: 1"),
        ("['/nowhere/k3y-less']".to_owned(), "cannot start command"),
        ("[]".to_owned(), "a list of strings"),
        ("'k3y'".to_owned(), "names no source"),
    ] {
        let found = with(&command).unwrap_err().to_string();
        assert!(found.contains(expected), "{command}: {found}");
        assert!(!found.replace("/nowhere/k3y-less", "").contains("k3y"), "{found}");
    }
}

/// Broken if a misspelled step or setting were passed over, or told without its line.
#[test]
fn mistakes_are_told_with_their_line() {
    let text = format!(
        "{HEAD}[conversion]\nzero_dat = 'null'\ntoo_long = 'cut'\nnaming = 'camel'\n{TABLE}\
         [table.t.column]\na = {{ to.dwh = [\n{{ trimm = 'both' }},\n{{ trim = 'all' }},\n\
         {{ trim = 'both', case = 'lower' }},\n{{ hash = {{ algo = 'hmac_sha256', key = 'k3y' }} }} ] }}\n\
         b = {{ to.shop = [] }}\nc = {{ to.nowhere = [] }}\n"
    );
    let found = problems(&text);
    for expected in [
        "did you mean `zero_date`?",
        "`too_long` is \"reject\", \"truncate\", \"null\"",
        "`naming` is \"keep\", \"lower\", \"snake\"",
        "there is no step `trimm`",
        "did you mean `trim`?",
        "`trim`: is one of \"both\"",
        "a step has one key, and this has 2",
        "a key never stands in this file",
        "nothing flows to `shop`",
        "there is no [database.nowhere]",
    ] {
        assert!(found.contains(expected), "{expected}:\n{found}");
    }
    assert!(!found.contains("k3y"), "{found}");
}
