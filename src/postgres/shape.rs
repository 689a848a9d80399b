//! A table's shape in the log laid over the table as planned, by column name; pure.
//!
//! The log's shape is that of the moment of the change, the plan's that of the catalog when the
//! link was planned, so they differ around an ALTER. Every difference that could bend data is
//! listed in words; what may be done about it is decided by the caller. Types are compared by
//! logical type with limits where the log says enough, which for domains and enums is the name.

use std::mem::discriminant;

use hashbrown::HashMap;
use tokio_postgres::types::Type as Builtin;

use super::catalog::logical;
use super::pgoutput::{Relation, RelationColumn};
use crate::model::{Column, Type};
use crate::plan::TablePlan;

/// A type's name as a Type message has it; for a domain that of its base type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TypeName {
    /// Schema; empty is `pg_catalog`.
    pub(super) schema: String,
    /// Name.
    pub(super) name: String,
}

/// How tuples of one relation become rows of a planned table.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// Per column of the tuple: which column of the planned table it is; `None` is not decoded.
    pub(super) columns: Box<[Option<usize>]>,
    /// Per column of the tuple: whether a key image holds it.
    pub(super) key: Box<[bool]>,
    /// What differs from the plan, in words.
    pub(super) differences: Vec<String>,
    /// The match key is not in what the log says of an old row.
    pub(super) lacks_key: bool,
}

impl Layout {
    /// Whether rows of this layout may lack what the plan writes.
    pub(super) fn is_reshaped(&self) -> bool {
        !self.differences.is_empty()
    }
}

/// Lays `relation` over `plan`; a partition goes by another name and has its own order of columns.
pub(super) fn layout(
    relation: &Relation<'_>,
    plan: &TablePlan,
    types: &HashMap<u32, TypeName>,
    partition: bool,
) -> Layout {
    let source = &plan.source;
    let mut differences = Vec::new();
    let same = relation.schema == source.name.schema && relation.table == source.name.table;
    if !same && !partition {
        differences.push(format!("it is called {}.{}", relation.schema, relation.table));
    }
    let mapped = |index: usize| plan.reads(index);
    let keys: Vec<usize> =
        plan.key.iter().filter_map(|key| Some(plan.columns.get(*key)?.source)).collect();
    let mut columns = Vec::with_capacity(relation.columns.len());
    for wire in &relation.columns {
        let index = source.column_index(wire.name);
        match index.and_then(|index| source.columns.get(index)) {
            None => differences.push(format!("column `{}` is new", wire.name)),
            Some(column) if index.is_some_and(mapped) => {
                let difference = type_difference(wire, column, types);
                if difference.is_some() && !index.is_some_and(|index| keys.contains(&index)) {
                    // Text of another type says nothing; the row is read again, if it is read at all.
                    differences.extend(difference);
                    columns.push(None);
                    continue;
                }
                differences.extend(difference);
            }
            Some(_) => {}
        }
        columns.push(index.filter(|index| mapped(*index)));
    }
    let planned = source.columns.iter().enumerate();
    for column in planned.filter(|(index, _)| mapped(*index)).map(|(_, column)| column) {
        if !relation.columns.iter().any(|wire| wire.name == column.name) {
            differences.push(format!("column `{}` is gone", column.name));
        }
    }
    let identity = identity_difference(relation, plan);
    let lacks_key = identity.is_some();
    differences.extend(identity);
    let key = relation.columns.iter().map(|wire| wire.key).collect();
    Layout { columns: columns.into(), key, differences, lacks_key }
}

fn type_difference(
    wire: &RelationColumn<'_>,
    column: &Column,
    types: &HashMap<u32, TypeName>,
) -> Option<String> {
    let same = match (Builtin::from_oid(wire.type_oid), types.get(&wire.type_oid)) {
        (Some(_), _) => logical(wire.type_oid, wire.type_modifier).is_same(&column.ty),
        (None, Some(named)) => same_named(named, column),
        (None, None) => false,
    };
    let now = || match types.get(&wire.type_oid) {
        Some(named) => named.name.clone(),
        None => Builtin::from_oid(wire.type_oid)
            .map_or_else(|| format!("type {}", wire.type_oid), |builtin| builtin.name().to_owned()),
    };
    (!same).then(|| {
        format!("column `{}` was {} and is {} in the log", column.name, column.native, now())
    })
}

/// Whether a type known by name is that of the column. A domain comes under the name of its base
/// type and without limits; an enum under its own.
fn same_named(named: &TypeName, column: &Column) -> bool {
    if named.schema.is_empty() || named.schema == "pg_catalog" {
        if let Type::Native { name, .. } = &column.ty {
            return *name == named.name;
        }
        let base = BASE_TYPES.iter().find(|base| base.name() == named.name);
        return base.is_some_and(|base| {
            // A modifier only keeps `char` from being a type without limit.
            let plain = logical(base.oid(), if *base == Builtin::BPCHAR { 5 } else { -1 });
            discriminant(&plain) == discriminant(&column.ty)
                && !matches!(&plain, Type::Int { .. } if plain != column.ty)
        });
    }
    if let Type::Native { name, .. } = &column.ty {
        return *name == format!("{}.{}", named.schema, named.name);
    }
    let spelled = column.native.replace('"', "");
    matches!(column.ty, Type::Enum { .. })
        && (spelled == format!("{}.{}", named.schema, named.name).replace('"', "")
            || spelled == named.name.replace('"', ""))
}

/// The built-in types that a domain of a planned column may rest on.
const BASE_TYPES: &[Builtin] = &[
    Builtin::BOOL,
    Builtin::INT2,
    Builtin::INT4,
    Builtin::INT8,
    Builtin::NUMERIC,
    Builtin::FLOAT4,
    Builtin::FLOAT8,
    Builtin::BPCHAR,
    Builtin::VARCHAR,
    Builtin::TEXT,
    Builtin::BYTEA,
    Builtin::DATE,
    Builtin::TIME,
    Builtin::TIMESTAMP,
    Builtin::TIMESTAMPTZ,
    Builtin::UUID,
    Builtin::JSON,
    Builtin::JSONB,
];

/// The match key must lie in what the log says of an old row.
fn identity_difference(relation: &Relation<'_>, plan: &TablePlan) -> Option<String> {
    if relation.identity == b'f' {
        return None;
    }
    let outside = plan.key.iter().filter_map(|key| plan.columns.get(*key)).find_map(|key| {
        let column = plan.source.columns.get(key.source)?;
        let covered = relation.columns.iter().any(|wire| wire.key && wire.name == column.name);
        (!covered).then_some(column)
    })?;
    Some(format!("its replica identity does not hold `{}` of the match key", outside.name))
}
