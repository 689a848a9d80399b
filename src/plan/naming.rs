//! Names that the configuration does not give: what a table or column of the source is called at the target where
//! `naming` says otherwise than as it is.
//!
//! Not here: names that are written, which always decide, and what happens where two become one (`columns`,
//! `planner`).

use std::borrow::Cow;

use crate::transform::rules::{Choice, Settings};

/// How names are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Naming {
    /// As they are.
    #[default]
    Keep,
    /// In lower case.
    Lower,
    /// In lower case, the words apart: `customerID` is `customer_id`.
    Snake,
}

impl Naming {
    /// What the nearest of these settings says.
    pub(crate) fn of<'s>(layers: impl IntoIterator<Item = &'s Settings>) -> Naming {
        match layers.into_iter().find_map(|settings| settings.get("naming")) {
            Some(Choice::Word("lower")) => Naming::Lower,
            Some(Choice::Word("snake")) => Naming::Snake,
            _ => Naming::Keep,
        }
    }

    /// What a name becomes.
    pub(crate) fn apply(self, name: &str) -> Cow<'_, str> {
        match self {
            Naming::Keep => Cow::Borrowed(name),
            Naming::Lower => Cow::Owned(name.to_lowercase()),
            Naming::Snake => Cow::Owned(snake(name)),
        }
    }
}

fn snake(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut made = String::with_capacity(name.len() + 4);
    for (at, character) in characters.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| characters.get(before));
        let after = characters.get(at + 1);
        // A word begins after a small letter or a digit, and with the last capital of several.
        let begins = character.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && after.is_some_and(|after| after.is_lowercase())
            });
        if begins {
            made.push('_');
        }
        match character {
            ' ' | '-' => made.push('_'),
            letter => made.extend(letter.to_lowercase()),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TableName;
    use crate::plan::fixtures::{BIGINT, TEXT, column, config, link, replicate, table};
    use crate::plan::{blueprints, plan, selection};

    /// Broken if a table or column did not meet the one that is called as `naming` says, if a written name did not
    /// come first, if two columns or tables became one, or if `weir ddl` made other names.
    #[test]
    fn names_meet() {
        let columns = |names: [&str; 2]| {
            vec![column(names[0], BIGINT, "bigint"), column(names[1], TEXT, "text")]
        };
        let mut config =
            config(vec![replicate("pg", "my", &["public.Cust*", "public.X"])], Vec::new());
        config.conversion.0.insert("naming", Choice::Word("snake"));
        let x = TableName::new("public", "X");
        config.replicates[0].rename.insert(x, "Kept".to_owned());
        let (_, wanted) = selection(&config, &link("pg", "my"));
        let sources = [
            table("public", "CustOrder", columns(["orderID", "first name"])),
            table("public", "X", columns(["id", "N"])),
        ];
        let targets = [
            table("my_db", "cust_order", columns(["order_id", "first_name"])),
            table("my_db", "Kept", columns(["id", "n"])),
        ];
        for table in &targets {
            assert!(wanted.matches(&table.name), "{wanted:?}");
        }
        let planned = plan(&config, &link("pg", "my"), &sources, &targets).unwrap();
        assert!(planned.tables.iter().all(|table| table.columns.len() == 2));
        let (drawn, _) = blueprints(&config, &link("pg", "my"), &sources, &[], true);
        let made = drawn.iter().find(|one| one.table.name.table == "cust_order").unwrap();
        assert_eq!(made.table.columns[0].name, "order_id");
        let told = |sources: &[crate::model::Table]| -> String {
            let findings = plan(&config, &link("pg", "my"), sources, &targets).unwrap_err();
            findings.iter().map(|finding| finding.message.clone() + "\n").collect()
        };
        let mut twice = sources.clone();
        twice[0].columns.push(column("order_id", BIGINT, "bigint"));
        let found = told(&twice);
        assert!(found.contains("columns orderID and order_id are both called order_id"), "{found}");
        let mut lacks = sources.clone();
        lacks[0].columns.push(column("lastSeen", BIGINT, "bigint"));
        let found = told(&lacks);
        assert!(
            found.contains("lastSeen is missing at the target, where it is called last_seen"),
            "{found}"
        );
        let again = table("public", "Cust_Order", columns(["orderID", "first name"]));
        let found = told(&[sources[0].clone(), sources[1].clone(), again]);
        assert!(found.contains("my_db.cust_order"), "{found}");
    }

    /// Broken if a name became another than the documented one.
    #[test]
    fn names_are_made() {
        for (name, expected) in [
            ("customerID", "customer_id"),
            ("CustomerOrder", "customer_order"),
            ("HTTPServer2Name", "http_server2_name"),
            ("first_Name", "first_name"),
            ("first name", "first_name"),
            ("ÄnderungsDatum", "änderungs_datum"),
            ("already_snake_1", "already_snake_1"),
            ("X", "x"),
            ("", ""),
        ] {
            assert_eq!(Naming::Snake.apply(name), expected);
        }
        assert_eq!(Naming::Lower.apply("CustomerID"), "customerid");
        assert_eq!(Naming::Keep.apply("CustomerID"), "CustomerID");
    }
}
