//! What the catalog says of tables of every sort.

use weir::config::Dialect;
use weir::error::Kind;
use weir::link::ports::{Room, Selection};
use weir::model::shape::{Figure, Shape};
use weir::model::{Column, Identity, Table, TableName, Type};
use weir::postgres::Postgres;

use super::fixture::{SERVERS, Site};

const TABLES: &str = "
CREATE SCHEMA shop;
CREATE DOMAIN shop.inner_d AS varchar(7) NOT NULL;
CREATE DOMAIN shop.outer_d AS shop.inner_d DEFAULT 'x';
CREATE TYPE shop.mood AS ENUM ('b', 'a');
ALTER TYPE shop.mood ADD VALUE 'first' BEFORE 'b';
CREATE COLLATION shop.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE shop.parent (id int PRIMARY KEY);
CREATE TABLE shop.t (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone int, s serial, d shop.outer_d, m shop.mood,
  ci text COLLATE shop.ci, g int GENERATED ALWAYS AS (1 + 1) STORED, pid int REFERENCES shop.parent,
  arr int[], pt point, bits bit(3), cash money, u1 int NOT NULL, u2 int, n numeric(5,2) DEFAULT 1,
  CONSTRAINT plain UNIQUE (u1), CONSTRAINT late UNIQUE (u2) DEFERRABLE);
ALTER TABLE shop.t DROP COLUMN gone;
CREATE UNIQUE INDEX partly ON shop.t (u1) WHERE u2 > 0;
CREATE UNIQUE INDEX computed ON shop.t (lower(d));
CREATE UNIQUE INDEX coarser ON shop.t (m, (d) COLLATE shop.ci);
CREATE INDEX not_unique ON shop.t (u2);
CREATE TABLE shop.by_index (id int PRIMARY KEY, k int NOT NULL UNIQUE);
ALTER TABLE shop.by_index REPLICA IDENTITY USING INDEX by_index_k_key;
CREATE TABLE shop.whole (a int); ALTER TABLE shop.whole REPLICA IDENTITY FULL;
CREATE TABLE shop.none (id int PRIMARY KEY); ALTER TABLE shop.none REPLICA IDENTITY NOTHING;
CREATE TABLE shop.keyless (a int);
CREATE TABLE shop.late_key (id int PRIMARY KEY DEFERRABLE);
CREATE TABLE shop.computed_key (a int, g int GENERATED ALWAYS AS (a + 1) STORED PRIMARY KEY);
CREATE TABLE shop.computed_whole (a int, g int GENERATED ALWAYS AS (a + 1) STORED);
ALTER TABLE shop.computed_whole REPLICA IDENTITY FULL;
CREATE TABLE shop.root (id int) PARTITION BY RANGE (id);
CREATE TABLE shop.leaf PARTITION OF shop.root DEFAULT;
CREATE VIEW shop.view AS SELECT 1 AS a;
CREATE UNLOGGED TABLE shop.unlogged (id int PRIMARY KEY);
CREATE TABLE shop.tmp_x (id int)";

/// Broken if the planner were told something about a table that is not so.
#[tokio::test]
async fn tables_are_described_as_they_are() {
    for server in SERVERS {
        let Some(site) = Site::start(server).await else { return };
        site.execute(TABLES).await;
        let include = vec!["*.*".into(), "shop.view".into()];
        let selection = Selection { include, exclude: vec!["shop.tmp_*".into()] };
        let tables = Postgres.catalog(&site.database, Dialect::Postgres, &selection).await.unwrap();
        let names: Vec<String> = tables.iter().map(|table| table.name.to_string()).collect();
        assert_eq!(
            names,
            [
                "shop.by_index",
                "shop.computed_key",
                "shop.computed_whole",
                "shop.keyless",
                "shop.late_key",
                "shop.none",
                "shop.parent",
                "shop.root",
                "shop.t",
                "shop.unlogged",
                "shop.view",
                "shop.whole"
            ]
        );
        let find = |name: &str| tables.iter().find(|table| table.name.table == name).expect(name);
        let t = find("t");
        let columns: Vec<&str> = t.columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(
            columns,
            ["id", "s", "d", "m", "ci", "g", "pid", "arr", "pt", "bits", "cash", "u1", "u2", "n"]
        );
        let column = |name: &str| &t.columns[t.column_index(name).expect(name)];
        assert!(column("id").auto_increment && !column("id").nullable);
        assert!(column("s").auto_increment && column("s").has_default);
        assert_eq!(column("d").ty, Type::Text { chars: Some(7), bytes: None });
        assert_eq!(column("d").native, "character varying(7)");
        assert!(!column("d").nullable && column("d").has_default);
        assert_eq!(
            column("m").ty,
            Type::Enum { labels: ["first", "b", "a"].map(String::from).to_vec() }
        );
        assert_eq!(column("m").native, "shop.mood");
        assert!(!column("ci").exact_collation && column("d").exact_collation);
        assert!(column("g").generated && !column("g").has_default);
        assert!(column("n").has_default && !column("n").auto_increment);
        assert_native(&column);
        let uniques: Vec<_> =
            t.uniques.iter().map(|u| (u.name.as_str(), u.columns.clone(), u.primary)).collect();
        assert_eq!(uniques, [("t_pkey", vec![0], true), ("plain", vec![11], false)]);
        assert_eq!(t.odd_unique_indexes, ["coarser", "computed", "late", "partly"]);
        assert_eq!(t.foreign_keys[0].parent, TableName::new("shop", "parent"));
        assert_identities(&find);
        assert_computed(&site, &find).await;
        for (name, plain) in [("root", true), ("view", false), ("unlogged", false), ("t", true)] {
            assert_eq!(find(name).unsupported.is_none(), plain, "{name}");
        }
        assert_eq!(find("root").partitions[0].name, TableName::new("shop", "leaf"));
    }
}

/// Types that only PostgreSQL has, with what they are made of.
fn assert_native<'a>(column: &impl Fn(&str) -> &'a Column) {
    let own = |name: &str, modifier, shape| Type::Native { name: name.to_owned(), modifier, shape };
    let element = Box::new(Type::Int { bits: 32, unsigned: false });
    let list = Shape::Array { element, delimiter: ',' };
    for (name, ty, native) in [
        ("arr", own("_int4", -1, list), "integer[]"),
        ("pt", own("point", -1, Shape::Figure(Figure::Point)), "point"),
        ("bits", own("bit", 3, Shape::Bits { count: 3 }), "bit(3)"),
        ("cash", own("money", -1, Shape::Money { digits: 2 }), "money"),
    ] {
        assert_eq!((&column(name).ty, column(name).native.as_str()), (&ty, native));
    }
}

/// What the server judges of identities with computed columns, as it judges it.
async fn assert_computed<'a>(site: &Site, find: &impl Fn(&str) -> &'a Table) {
    let tables = ["computed_whole", "computed_key"];
    let published = tables.map(|table| format!("shop.{table}")).join(", ");
    site.execute(&format!("CREATE PUBLICATION p FOR TABLE {published}")).await;
    for table in tables {
        site.execute(&format!("INSERT INTO shop.{table} (a) VALUES (1)")).await;
        let updated = site.server.execute(&format!("UPDATE shop.{table} SET a = 2")).await;
        let refused = find(table).identity == Identity::Unsendable;
        assert_eq!(updated.is_err(), refused, "{:?}: {table}", site.server.kind());
    }
}

/// What the log says of the row before a change.
fn assert_identities<'a>(find: &impl Fn(&str) -> &'a Table) {
    assert_eq!(find("t").identity, Identity::Columns(vec![0]));
    assert_eq!(find("by_index").identity, Identity::Columns(vec![1]));
    assert_eq!(find("whole").identity, Identity::Full);
    for name in ["none", "keyless", "late_key"] {
        assert_eq!(find(name).identity, Identity::Nothing, "{name}");
    }
}

/// Broken if `start = "now"` were taken although rows would be left behind.
#[tokio::test]
async fn tables_with_rows_are_found() {
    let Some(site) = Site::start(SERVERS[0]).await else { return };
    site.execute("CREATE TABLE a (id int); CREATE TABLE b (id int); INSERT INTO b VALUES (1)")
        .await;
    site.granted(&site.database, &site.tables("public.*").await.iter().collect::<Vec<_>>()).await;
    let (a, b) = (TableName::new("public", "a"), TableName::new("public", "b"));
    let found = Postgres.non_empty(&site.database, &[a, b.clone()]).await.unwrap();
    assert_eq!(found, [b]);
    let gone = [TableName::new("public", "gone")];
    assert_eq!(Postgres.non_empty(&site.database, &gone).await.unwrap_err().kind(), Kind::Mapping);
    assert!(Postgres.version(&site.database).await.unwrap().starts_with("PostgreSQL 15"));
}
