//! `[table.X.column]`: the one section where TOML's own rules mislead.
//!
//! Every key after the header is a column, also one that was meant as a setting of the table. Since
//! a column is always a table, such a key is recognised and the way out is shown. For the same
//! reason there is no short form `phone = "phone_e164"`.

use toml::de::DeValue;

use super::raw::{Column, Table};
use super::read::{At, Node, Read, Reader, kind_of};

/// Columns by logical name, in the order of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Columns(pub(crate) Vec<(At<String>, Column)>);

impl Read for Columns {
    fn read(node: &Node<'_>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let table = reader.table(node, "columns")?;
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut columns = Vec::new();
        for (key, node) in entries {
            let name = At { place: reader.place(key), value: key.get_ref().as_ref().to_owned() };
            if is_column(&name, node, reader) {
                columns.extend(Column::read(node, reader).map(|column| (name, column)));
            }
        }
        Some(Columns(columns))
    }
}

/// Whether a key is a column; notes a problem if it is not.
fn is_column(name: &At<String>, node: &Node<'_>, reader: &mut Reader<'_, '_>) -> bool {
    let setting = Table::KEYS.contains(&name.as_str());
    match node.get_ref() {
        // `in.crm = "…"` after the header: a column `in` with a key per database.
        DeValue::Table(table)
            if name.value == "in"
                && !table.is_empty()
                && table.values().all(|value| matches!(value.get_ref(), DeValue::String(_))) =>
        {
            misplaced(name, reader);
            false
        }
        DeValue::Table(_) => true,
        _ if setting => {
            misplaced(name, reader);
            false
        }
        DeValue::String(_) => {
            let message = format!("column `{}` is written as a string", name.value);
            let hint = format!("write `{} = {{ in.DATABASE = \"its name there\" }}`", name.value);
            reader.report.add(name.place, message, hint);
            false
        }
        other => {
            let message = format!("column `{}` is {}, not a table", name.value, kind_of(other));
            let hint = format!("write `{} = {{ in.DATABASE = \"its name there\" }}`", name.value);
            reader.report.add(name.place, message, hint);
            false
        }
    }
}

fn misplaced(name: &At<String>, reader: &mut Reader<'_, '_>) {
    let message = format!("`{}` is a table setting, but stands among the columns", name.value);
    reader.report.add(name.place, message, "move it above the [table.….column] header");
}

impl schemars::JsonSchema for Columns {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Columns".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let column = generator.subschema_for::<Column>();
        schemars::json_schema!({ "type": "object", "additionalProperties": column })
    }
}
