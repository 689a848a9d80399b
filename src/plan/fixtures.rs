//! Tables, configurations and plans for the tests of the pure core.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::{
    ApplyOptions, Config, Database, Deletes, Dialect, DroppedPartitions, LinkName, Replicate,
    TableMapping, TableSeries, Tls, Truncates,
};
use crate::model::schema::Rule;
use crate::model::{Column, ForeignKey, Row, Table, TableName, Type, Unique, Value};
use crate::plan::{ColumnPlan, LinkPlan, TablePlan};
use crate::transform::{Conversion, Fit};

pub(crate) const BIGINT: Type = Type::Int { bits: 64, unsigned: false };
pub(crate) const TEXT: Type = Type::Text { chars: None, bytes: None };

pub(crate) fn column(name: &str, ty: Type, native: &str) -> Column {
    Column::plain(name, ty, native)
}

/// A table whose first column is its primary key and part of every before image.
pub(crate) fn table(schema: &str, name: &str, columns: Vec<Column>) -> Table {
    let mut table = keyless(schema, name, columns);
    table.columns[0].nullable = false;
    table.uniques.push(Unique { name: "pk".into(), columns: vec![0], primary: true });
    table
}

/// A table without a key, whole in every before image.
pub(crate) fn keyless(schema: &str, name: &str, columns: Vec<Column>) -> Table {
    Table::keyless(TableName::new(schema, name), columns)
}

/// A plan that writes every column of a table into the like of it, and applies all that is done to it.
pub(crate) fn one_to_one(table: Table, key: &[usize]) -> TablePlan {
    let planned = |at| ColumnPlan::of(at, at, Conversion { nullable: true, fit: Fit::Bool });
    let columns = (0..table.columns.len()).map(planned).collect();
    TablePlan::alone(table.clone(), table, columns, key.to_vec())
}

/// A foreign key that refuses, over no columns.
pub(crate) fn foreign_key(name: &str, parent: TableName) -> ForeignKey {
    ForeignKey {
        name: name.into(),
        parent,
        columns: Vec::new(),
        parent_columns: Vec::new(),
        on_delete: Rule::Refuse,
        on_update: Rule::Refuse,
        logged: true,
    }
}

pub(crate) fn database(name: &str, dialect: Dialect) -> Database {
    Database {
        name: name.into(),
        dialect,
        host: "localhost".into(),
        port: 1,
        user: "weir".into(),
        database: format!("{name}_db"),
        password: None,
        tls: Tls::off(),
        server_id: None,
        heartbeat: None,
        others: Vec::new(),
        read: None,
        retention_min: crate::config::RETENTION_MIN,
    }
}

pub(crate) fn replicate(from: &str, to: &str, tables: &[&str]) -> Replicate {
    Replicate {
        from: from.into(),
        to: to.into(),
        tables: tables.iter().map(|&pattern| pattern.into()).collect(),
        exclude: Vec::new(),
        into: None,
        rename: BTreeMap::new(),
        ignore: Vec::new(),
        deletes: Deletes::Apply,
        truncate: Truncates::Halt,
        dropped_partitions: DroppedPartitions::Halt,
        on_poison: None,
        sensitive: Vec::new(),
        at: "weir.toml:1".into(),
    }
}

pub(crate) fn mapping(name: &str, owner: Option<&str>, addresses: &[(&str, &str)]) -> TableMapping {
    let address = |(database, address): &(&str, &str)| {
        let (schema, table) = address.split_once('.').unwrap();
        (String::from(*database), TableName::new(schema, table))
    };
    TableMapping {
        name: name.into(),
        addresses: addresses.iter().map(address).collect(),
        key: None,
        local: Vec::new(),
        owner: owner.map(Into::into),
        row_owner: None,
        column_owners: BTreeMap::new(),
        initial: Default::default(),
        column_initials: BTreeMap::new(),
        on_flagged: Default::default(),
        column_on_flagged: BTreeMap::new(),
        ignore: Vec::new(),
        columns: BTreeMap::new(),
        deletes: None,
        truncate: None,
        dropped_partitions: None,
        on_poison: None,
        sensitive: Vec::new(),
        sensitive_columns: BTreeMap::new(),
        conversion: Default::default(),
        column_conversions: BTreeMap::new(),
        steps: BTreeMap::new(),
        at: "tables/x.toml:1".into(),
    }
}

/// PostgreSQL `pg`, MySQL `my`, MariaDB `ma`.
pub(crate) fn config(replicates: Vec<Replicate>, tables: Vec<TableMapping>) -> Config {
    let second = Duration::from_secs(1);
    Config {
        name: "test".into(),
        state_dir: "/nonexistent".into(),
        http: None,
        alerts: None,
        state_free_min: None,
        table_series: TableSeries::Top,
        databases: [("pg", Dialect::Postgres), ("my", Dialect::Mysql), ("ma", Dialect::Mariadb)]
            .map(|(name, dialect)| (name.into(), database(name, dialect)))
            .into(),
        replicates,
        conversion: Default::default(),
        tables,
        apply: ApplyOptions {
            start: None,
            batch_rows_max: 1000,
            batch_bytes_max: 1 << 20,
            queue_bytes_max: 1 << 20,
            lock_timeout: second,
            retry_initial: second,
            retry_max: second,
            idle_witness_every: second,
            ..ApplyOptions::default()
        },
        links: BTreeMap::new(),
    }
}

pub(crate) fn link(source: &str, target: &str) -> LinkName {
    LinkName { source: source.into(), target: target.into() }
}

/// A row of integers.
pub(crate) fn row(values: &[i64]) -> Row {
    values.iter().copied().map(Value::Int).collect()
}

/// The plan of `pg:my` for one table `t` of these integer columns, the first of them its key.
pub(crate) fn plan_of(columns: &[&str]) -> LinkPlan {
    let columns = || columns.iter().map(|name| column(name, BIGINT, "bigint")).collect();
    let tables = ["public", "my_db"].map(|schema| table(schema, "t", columns()));
    let config = config(vec![replicate("pg", "my", &["public.t"])], vec![]);
    crate::plan::plan(&config, &link("pg", "my"), &tables[..1], &tables[1..]).expect("a plan")
}
