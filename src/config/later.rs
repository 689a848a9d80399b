//! Keys that the design has and this version does not: refused by name, never ignored.
//!
//! One table: section, key, and what it is for. When a feature arrives, its line moves into `raw`.

/// Keys of later versions: section as in `raw`, key, purpose.
const LATER: &[(&str, &str, &str)] = &[
    ("", "flagged", "records of writes by a database that is not the owner"),
    ("", "memory_max", "one memory limit shared by all links"),
    ("", "retention", "how long closed records are kept"),
    ("", "verify", "comparing both sides on a schedule"),
    ("database", "capture", "sharing one capture between links"),
    ("database", "publish", "publications with column lists"),
    ("database", "retain_max", "a limit on the log a stopped link retains"),
    ("apply", "capture", "sharing one capture between links"),
    ("apply", "detach_after", "sharing one capture between links"),
    ("apply", "large_transactions", "splitting large transactions"),
    ("apply", "retain_max", "a limit on the log a stopped link retains"),
    ("apply", "triggers", "switching off triggers on the target"),
    ("replicate", "new_tables", "what happens with tables created later"),
    ("replicate", "on_flagged", "writes by a database that is not the owner"),
    ("replicate", "where", "row filters"),
    ("table", "foreign_deletes", "deletes by a database that is not the owner"),
    ("table", "new_tables", "what happens with tables created later"),
    ("table", "relay", "passing on what another replication wrote"),
    ("table", "revert_rate_max", "reverting writes by a database that is not the owner"),
    ("table", "triggers", "switching off triggers on the target"),
    ("table", "watch", "watching a database that owns nothing"),
    ("table", "where", "row filters"),
    ("column", "absent", "columns that some databases do not have"),
    ("column", "references", "ids that differ per database"),
];

/// What a key of a later version is for, if it is one.
pub(crate) fn purpose(section: &str, key: &str) -> Option<&'static str> {
    LATER.iter().find(|(place, name, _)| *place == section && *name == key).map(|entry| entry.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a key were listed twice, so that removing one line would not admit it.
    #[test]
    fn each_key_is_listed_once() {
        let mut keys: Vec<_> = LATER.iter().map(|(section, key, _)| (section, key)).collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), LATER.len());
        assert_eq!(purpose("", "verify"), Some("comparing both sides on a schedule"));
        assert_eq!(purpose("database", "url"), None);
    }
}
