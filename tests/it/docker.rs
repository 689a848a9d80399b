//! What `docker/` ships, as far as it can be judged without Docker: its files fit each other and weir,
//! and the databases that it sets up are what weir asks for.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use weir::config::TableSeries;
use weir::observe::http::Exposition;
use weir::observe::metrics::Metrics;
use weir::sandbox::Server;

use crate::harness::{Pair, Weir, query_in, tree, until};

fn shipped(path: &str) -> PathBuf {
    tree("docker").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(shipped(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Names of the metrics in a text, as they are queried.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    words.filter(|word| word.starts_with("weir_")).map(str::to_owned).collect()
}

/// Broken if an alert or a panel asked for a metric that weir does not have: it would stay silent.
#[test]
fn alerts_and_panels_ask_for_what_weir_exports() {
    let mut exported = BTreeSet::new();
    for line in Metrics::new(TableSeries::Top).metrics().lines() {
        let Some(family) = line.strip_prefix("# TYPE ") else { continue };
        let (name, kind) = family.split_once(' ').expect("a type");
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "info" => &["_info"],
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        exported.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
    }
    for path in ["prometheus/rules.yml", "grafana/weir.json"] {
        let expressions: String = text(path)
            .lines()
            .filter(|line| line.contains("expr: ") || line.contains("\"expr\": "))
            .collect();
        let asked = names(&expressions);
        assert!(asked.len() > 5, "{path}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&exported).collect();
        assert!(unknown.is_empty(), "{path}: {unknown:?}");
    }
    let told = std::fs::read_to_string(tree("README.md")).expect("README");
    let (_, watch) = told.split_once("**5. Watch.**").expect("step 5");
    let (watch, _) = watch.split_once("`weir teardown").expect("its end");
    let whole =
        |name: &String| exported.contains(name) || exported.contains(&format!("{name}_sum"));
    let unknown: Vec<_> = names(watch).into_iter().filter(|name| !whole(name)).collect();
    assert!(unknown.is_empty(), "README: {unknown:?}");
}

/// Indentation by two, `key: value`, `key:` or `- item`, quotes that close: what YAML needs at least,
/// and all that these files use.
fn assert_yaml(path: &str) {
    let mut last: usize = 0;
    for (number, line) in text(path).lines().enumerate() {
        let at = format!("{path}:{}: {line}", number + 1);
        assert!(!line.contains('\t') && line.trim_end() == line, "{at}");
        let code = line.trim_start();
        if code.is_empty() || code.starts_with('#') {
            continue;
        }
        let indent = line.len() - code.len();
        assert!(indent % 2 == 0 && indent <= last + 4, "{at}");
        let item = code.starts_with("- ");
        let code = code.strip_prefix("- ").unwrap_or(code);
        let (key, value) = code.split_once(": ").unwrap_or((code, ""));
        let value = if value.is_empty() && item { key } else { value };
        assert!(item || code.ends_with(':') || code.contains(": "), "{at}");
        assert!(value.matches('"').count() % 2 == 0, "{at}");
        let plain = !value.starts_with(['"', '[']);
        assert!(!plain || !value.contains(": ") && !value.contains(" #"), "quote it: {at}");
        assert!(!plain || !value.starts_with(['{', '%', '@', '`', '&', '*', '!']), "{at}");
        last = indent;
    }
}

/// Broken if the example could not be started because its files do not fit each other.
#[test]
fn the_files_fit_each_other() {
    for path in [
        "compose.yaml",
        "prometheus/prometheus.yml",
        "prometheus/rules.yml",
        "grafana/datasources.yaml",
        "grafana/dashboards.yaml",
    ] {
        assert_yaml(path);
    }
    let _: serde_json::Value = serde_json::from_str(&text("grafana/weir.json")).expect("JSON");
    let compose = text("compose.yaml");
    let mounted: Vec<_> = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- ./")?.split(':').next())
        .collect();
    assert!(mounted.len() >= 5, "{mounted:?}");
    for path in mounted {
        assert!(shipped(path).exists(), "{path} is not there");
    }
    let config = weir::config::load(Some(&shipped("weir/weir.toml"))).expect("weir takes it");
    assert_eq!(config.http.as_ref().map(|http| http.listen.port()), Some(7171));
    assert!(text("prometheus/prometheus.yml").contains("weir:7171"));
    assert!(config.state_dir.starts_with("/var/lib/weir/"), "a folder of the volume");
    for (name, database) in &config.databases {
        assert_eq!(&database.host, name, "databases are reached by their service's name");
        assert!(compose.contains(&format!("\n  {name}:\n")), "service {name}");
        let variable = format!("{}_PASSWORD: ", name.to_uppercase());
        assert!(compose.contains(&variable), "{variable}");
    }
    let dockerfile = text("Dockerfile");
    let ignore = text("Dockerfile.dockerignore");
    for line in dockerfile.lines() {
        let Some(copied) = line.strip_prefix("COPY ") else { continue };
        let words: Vec<_> = copied.split_whitespace().collect();
        let Some((_, sources)) = words.split_last() else { panic!("{line}") };
        for source in sources.iter().filter(|_| !copied.starts_with("--from")) {
            let source = source.trim_start_matches("./");
            assert!(tree(source).exists(), "{line}");
            assert!(ignore.lines().any(|kept| kept == format!("!{source}")), "{source} is ignored");
        }
    }
    for wanted in ["ENTRYPOINT [", "HEALTHCHECK ", "STOPSIGNAL SIGTERM", "USER 65532", "VOLUME ["] {
        assert!(dockerfile.lines().any(|line| line.starts_with(wanted)), "{wanted}");
    }
}

/// Broken if the databases of the example lacked a grant, a table or a publication that weir asks
/// for, or if what is written in one did not arrive in the other.
#[tokio::test]
async fn the_example_replicates_both_ways() {
    let Some(pair) = Pair::start(Server::MySql97, Server::Postgres18).await else { return };
    pair.source.execute(&text("mysql/init.sql")).await.expect("MySQL is prepared");
    let local = |server: &weir::sandbox::Running| {
        let url = server.url();
        let (_, address) = url.split_once('@').expect("an address");
        address.split('/').next().expect("a port").to_owned()
    };
    let database = pair.target.url().rsplit('/').next().expect("a database").to_owned();
    let init = text("postgres/init.sql").replace("DATABASE dwh", &format!("DATABASE {database}"));
    pair.target.execute(&init).await.expect("PostgreSQL is prepared");
    let weir = Weir::with_tables(&pair, "example", "");
    let config: String = text("weir/weir.toml")
        .replace("shop:3306", &local(&pair.source))
        .replace("dwh:5432/dwh", &format!("{}/{database}", local(&pair.target)))
        .replace("\"/var/lib/weir/state\"", "\"state\"")
        .replace("SHOP_PASSWORD", "LEFT_PASSWORD")
        .replace("DWH_PASSWORD", "RIGHT_PASSWORD")
        .replace("[http]\nlisten = \"0.0.0.0:7171\"", "");
    std::fs::write(weir.config(), config).expect("weir.toml");
    let weir =
        weir.with_password("LEFT_PASSWORD", "example").with_password("RIGHT_PASSWORD", "example");
    weir.run(&["check"]).await.expect_code(0);
    let _child = weir.spawn(&["run"]);
    until("both links run", Duration::from_secs(30), async || {
        weir.run(&["status", "--json"]).await.stdout.matches("\"state\": \"running\"").count() == 2
    })
    .await;
    let order = "INSERT INTO shop.orders (customer, total) VALUES ('Ada', 12.50)";
    pair.source.execute(order).await.expect("an order");
    let invoice = "INSERT INTO billing.invoice (amount, paid) VALUES (9.90, true)";
    pair.target.execute(invoice).await.expect("an invoice");
    until("both arrive", Duration::from_secs(30), async || {
        let order = "SELECT customer, total FROM shop.orders";
        let invoice = "SELECT amount, paid FROM billing.invoice";
        query_in(&pair.target, "", order).await == ["Ada\t12.50"]
            && query_in(&pair.source, "", invoice).await == ["9.90\t1"]
    })
    .await;
}
