//! The room's door: each port of [`Room`] is one function of a file beside this one.

use std::sync::Arc;
use std::time::Duration;

use super::{
    catalog, condition, copies, ddl, duplicates, flags, letters, preflight, scan, setup, source,
    target,
};
use crate::config::{Database, Dialect};
use crate::link::ports::{
    Copies, Creation, Finding, Flags, KeyLook, Letters, LinkContext, Pending, Preflight, Repeated,
    Room, Scan, Selection, Source, Target,
};
use crate::model::{Table, TableName};
use crate::plan::{Blueprint, LinkPlan, Unfilled};

/// PostgreSQL 14 to 18.
#[derive(Clone, Copy, Debug, Default)]
pub struct Postgres;

impl Room for Postgres {
    fn takes_writes<'a>(&'a self, database: &'a Database) -> Pending<'a, bool> {
        Box::pin(catalog::takes_writes(database))
    }

    fn version<'a>(&'a self, database: &'a Database) -> Pending<'a, String> {
        Box::pin(catalog::version(database))
    }

    fn catalog<'a>(
        &'a self,
        database: &'a Database,
        dialect: Dialect,
        selection: &'a Selection,
    ) -> Pending<'a, Vec<Table>> {
        Box::pin(catalog::load(database, dialect, selection))
    }

    fn non_empty<'a>(
        &'a self,
        database: &'a Database,
        tables: &'a [TableName],
    ) -> Pending<'a, Vec<TableName>> {
        Box::pin(catalog::non_empty(database, tables))
    }

    fn repeated<'a>(
        &'a self,
        database: &'a Database,
        look: &'a KeyLook<'a>,
    ) -> Pending<'a, Vec<Repeated>> {
        Box::pin(duplicates::repeated(database, look))
    }

    fn merged<'a>(
        &'a self,
        database: &'a Database,
        look: &'a KeyLook<'a>,
        found: Vec<Repeated>,
    ) -> Pending<'a, Vec<Repeated>> {
        Box::pin(duplicates::merged(database, look, found))
    }

    fn check_source<'a>(&'a self, preflight: Preflight<'a>) -> Pending<'a, Vec<Finding>> {
        Box::pin(preflight::check_source(preflight))
    }

    fn check_target<'a>(&'a self, preflight: Preflight<'a>) -> Pending<'a, Vec<Finding>> {
        Box::pin(preflight::check_target(preflight))
    }

    fn check_reader<'a>(&'a self, database: &'a Database) -> Pending<'a, Vec<Finding>> {
        Box::pin(preflight::check_reader(database))
    }

    fn check_condition<'a>(
        &'a self,
        database: &'a Database,
        table: &'a TableName,
        condition: &'a str,
    ) -> Pending<'a, ()> {
        Box::pin(condition::check(database, table, condition))
    }

    fn account<'a>(&'a self, database: &'a Database) -> Pending<'a, String> {
        Box::pin(setup::account(database))
    }

    fn setup_entry(&self, database: &Database, account: &str, schemas: &[&str]) -> Vec<String> {
        setup::entry(database, account, schemas)
    }

    fn hidden<'a>(
        &'a self,
        database: &'a Database,
        schemas: &'a [&str],
    ) -> Pending<'a, Vec<&'a str>> {
        Box::pin(catalog::hidden(database, schemas))
    }

    fn setup_source(
        &self,
        context: &LinkContext,
        database: &Database,
        account: &str,
        tables: &[&Table],
        marked: bool,
    ) -> Vec<String> {
        setup::source(context, database, account, tables, marked)
    }

    fn setup_target(
        &self,
        account: &str,
        tables: &[&Table],
        unfilled: &[Unfilled<'_>],
    ) -> Vec<String> {
        setup::target(account, tables, unfilled)
    }

    fn setup_lists(&self, account: &str, tables: &[&Table]) -> Vec<String> {
        setup::lists(account, tables)
    }

    fn teardown_source(&self, context: &LinkContext) -> Vec<String> {
        setup::teardown_source(context)
    }

    fn teardown_target(&self, context: &LinkContext, installation: Option<&str>) -> Vec<String> {
        setup::teardown_target(context, installation)
    }

    fn execute<'a>(
        &'a self,
        database: &'a Database,
        verb: &'a str,
        statements: &'a [String],
    ) -> Pending<'a, ()> {
        Box::pin(setup::execute(database, verb, statements))
    }

    fn create_tables(
        &self,
        tables: &[Blueprint],
        source_dialect: Dialect,
        _: Dialect,
    ) -> Vec<Creation> {
        ddl::create_tables(tables, source_dialect)
    }

    fn fitting_name(&self, name: &str) -> String {
        ddl::shorten(name)
    }

    fn open_source<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
        plan: Arc<LinkPlan>,
    ) -> Pending<'a, Box<dyn Source>> {
        Box::pin(source::open(context, database, plan))
    }

    fn open_scan<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
        plan: Arc<LinkPlan>,
    ) -> Pending<'a, Box<dyn Scan>> {
        Box::pin(scan::open(context, database, plan))
    }

    fn open_target<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
        plan: Arc<LinkPlan>,
        lock_timeout: Duration,
    ) -> Pending<'a, Box<dyn Target>> {
        Box::pin(target::open(context, database, plan, lock_timeout))
    }

    fn open_letters<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
    ) -> Pending<'a, Box<dyn Letters>> {
        Box::pin(letters::open(context, database))
    }

    fn open_flags<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
    ) -> Pending<'a, Box<dyn Flags>> {
        Box::pin(flags::open(context, database))
    }

    fn open_copies<'a>(
        &'a self,
        context: &'a LinkContext,
        database: &'a Database,
    ) -> Pending<'a, Box<dyn Copies>> {
        Box::pin(copies::open(context, database))
    }
}
