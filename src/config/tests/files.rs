//! The files that weir ships: reference, schema and examples.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::parsed;
use crate::config::{
    AlertBounds, ApplyOptions, Secret, Start, TableSeries, TlsMode, WebhookFormat, WebhookUrl,
    json_schema,
};

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(shipped(path)).unwrap()
}

/// The reference with the lines that want a file with a key, which is there.
fn with_keys(file: &str) -> String {
    text("reference.toml").replace("#~ ", "").replace("/etc/weir/ssn.key", file)
}

/// Broken if the examples that the reference only shows were refused, or a key that others can read were taken.
#[test]
fn examples_with_keys_are_accepted() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, "6f".repeat(64)).unwrap();
    let with = |mode| {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        parsed(&with_keys(file.to_str().unwrap())).map_err(|problems| problems.to_string())
    };
    let config = with(0o600).unwrap_or_else(|problems| panic!("{problems}"));
    let table = config.tables.iter().find(|table| table.steps.contains_key("ssn")).unwrap();
    assert!(table.steps["memo"]["dwh"][0].text().contains("key_name"));
    assert!(with(0o644).unwrap_err().contains("can be read by every user"));
    std::fs::write(&file, "6f").unwrap();
    assert!(with(0o600).unwrap_err().contains("the key is 64 bytes, and this is not"));
}

/// Broken if a user copied a shipped file and weir refused it.
#[test]
fn shipped_files_are_accepted() {
    let mut files = vec![shipped("reference.toml")];
    files.extend(std::fs::read_dir(shipped("examples")).unwrap().map(|file| file.unwrap().path()));
    assert!(files.len() >= 3);
    for file in files {
        if let Err(problems) = parsed(&std::fs::read_to_string(&file).unwrap()) {
            panic!("{}:\n{problems}", file.display());
        }
    }
}

/// Broken if the committed schema were not the one of this version; `WEIR_UPDATE=1` rewrites it.
#[test]
fn schema_is_up_to_date() {
    if std::env::var_os("WEIR_UPDATE").is_some() {
        std::fs::write(shipped("schema.json"), json_schema()).unwrap();
    }
    assert_eq!(text("schema.json"), json_schema(), "run the test with WEIR_UPDATE=1");
}

/// Broken if weir had a key that its reference does not explain.
#[test]
fn reference_has_every_key() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    let file: toml::Table = toml::from_str(&with_keys("/k")).unwrap();
    let mut missing = BTreeSet::new();
    let mut seen = 0;
    // [link.*.*] has the keys of [apply], which are written there.
    compare(&schema, &schema, &[&toml::Value::Table(file)], "", &mut missing, &mut seen);
    missing.retain(|key| !key.starts_with(".link."));
    // A table and a column take what [conversion] does.
    missing.retain(|key| !(key.starts_with(".table.") && key.contains(".conversion.")));
    // A token comes from where a password may come from.
    missing.retain(|key| !key.starts_with(".alerts.webhook.token."));
    assert!(missing.is_empty(), "not in config/reference.toml: {missing:?}");
    assert!(seen > 40, "the schema has only {seen} keys");
}

/// Collects the properties of a schema that none of `values` has.
fn compare(
    root: &Value,
    schema: &Value,
    values: &[&toml::Value],
    path: &str,
    missing: &mut BTreeSet<String>,
    seen: &mut usize,
) {
    let reference = schema.get("$ref").or_else(|| schema.pointer("/allOf/0/$ref"));
    let schema = match reference.and_then(Value::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (key, property) in properties {
            *seen += 1;
            let path = format!("{path}.{key}");
            let found: Vec<_> = values.iter().filter_map(|value| value.get(key)).collect();
            if found.is_empty() {
                missing.insert(path.clone());
            }
            compare(root, property, &found, &path, missing, seen);
        }
    }
    if let Some(entry) = schema.get("additionalProperties").filter(|entry| entry.is_object()) {
        let found: Vec<_> =
            values.iter().filter_map(|value| value.as_table()).flat_map(|t| t.values()).collect();
        compare(root, entry, &found, &format!("{path}.*"), missing, seen);
    }
    if let Some(items) = schema.get("items") {
        let found: Vec<_> = values.iter().filter_map(|value| value.as_array()).flatten().collect();
        compare(root, items, &found, path, missing, seen);
    }
}

/// Broken if a value of the file ended up in another field, or a default were not the documented.
#[test]
fn reference_means_what_it_says() {
    let config = parsed(&text("reference.toml")).unwrap();
    let defaults = ApplyOptions { start: Some(Start::Snapshot), ..ApplyOptions::default() };
    assert_eq!(format!("{:?}", config.apply), format!("{defaults:?}"));
    assert_eq!(config.http.as_ref().unwrap().listen.to_string(), "127.0.0.1:7171");
    assert_eq!(config.table_series, TableSeries::Top);
    assert_eq!(config.state_free_min, Some(128 << 20));
    let alerts = config.alerts.as_ref().unwrap();
    assert_eq!(alerts.bounds, AlertBounds::default());
    assert_eq!(alerts.min_interval, Duration::from_secs(300));
    assert_eq!(alerts.command.as_ref().unwrap(), &["/usr/local/bin/page"]);
    let webhook = alerts.webhook.as_ref().unwrap();
    assert_eq!((webhook.format, &webhook.url), (WebhookFormat::Json, &reference_url()));
    assert_eq!(webhook.token, Some(Secret::Env("ALERT_TOKEN".to_owned())));
    let link = "shop:dwh".split_once(':').unwrap();
    let link = crate::config::LinkName { source: link.0.into(), target: link.1.into() };
    assert_eq!(config.options(&link).batch_rows_max, 2000);
    assert_eq!(config.options(&link).lock_timeout, Duration::from_secs(30));
    assert_eq!(config.options(&link).start, Some(Start::Snapshot));
    let shop = &config.databases["shop"];
    assert_eq!((shop.port, shop.user.as_str(), shop.database.as_str()), (3306, "weir", "shop"));
    assert_eq!((shop.tls.mode, shop.server_id), (TlsMode::VerifyFull, Some(3_172_001)));
    assert_eq!(shop.password, Some(Secret::Env("SHOP_PASSWORD".to_owned())));
    let read = shop.read.as_ref().unwrap();
    assert_eq!((read.port, read.user.as_str(), read.database.as_str()), (3316, "weir", "shop"));
    assert_eq!((read.tls.mode, &read.password), (TlsMode::VerifyFull, &shop.password));
    let file = Path::new("/etc/weir/secrets/dwh").to_owned();
    assert_eq!(config.databases["dwh"].password, Some(Secret::File(file)));
    let replicate = &config.replicates[0];
    assert!(replicate.at.starts_with("weir.toml:") && replicate.rename.len() == 2);
    let customer = &config.tables[0];
    assert_eq!(customer.addresses["crm"].to_string(), "sales.customers");
    assert_eq!(customer.columns["geb.-datum"]["crm"], "geb datum");
    assert_eq!((config.tables[1].name.as_str(), &config.tables[1].owner), ("user", &None));
}

fn reference_url() -> WebhookUrl {
    WebhookUrl::Plain("https://alerts.example.com/weir".to_owned())
}

/// Broken if printing a configuration for support showed a secret: it holds none.
#[test]
fn debug_shows_where_secrets_are_only() {
    // The variable is set for every test; its value must not be in the configuration.
    let variable = "CARGO_MANIFEST_DIR";
    let config = parsed(&format!(
        "{}\n[database.x]\nurl = 'mysql://u@127.0.0.1/y'\npassword = {{ env = '{variable}' }}\n\
         [[replicate]]\nfrom = 'x'\nto = 'dwh'\ntables = ['y.*']\n",
        super::HEAD
    ))
    .unwrap();
    let shown = format!("{config:?}");
    let hook = "[alerts]\nwebhook = { url = 'https://hooks.example.com/hunter2' }\n";
    let hook = format!(
        "{}{hook}[[replicate]]\nfrom = 'shop'\nto = 'dwh'\ntables = ['shop.*']\n",
        super::HEAD
    );
    let url = format!("{:?}", parsed(&hook).unwrap());
    assert!(url.contains("Webhook") && !url.contains("hunter2"), "{url}");
    assert!(shown.contains(variable) && !shown.contains(env!("CARGO_MANIFEST_DIR")));
}
