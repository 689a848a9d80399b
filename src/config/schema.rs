//! The JSON Schema of `weir.toml`, for editors; `config/schema.json` is its committed copy.
//!
//! Generated from `raw`, so it knows exactly the keys that the reader knows. It describes kinds and
//! words; what `validate` checks goes beyond it.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::raw::File;
use super::read::{At, Named, OrOff, Period, Size};
use super::settings::Rate;

/// The JSON Schema of the configuration file, with a final line break.
pub fn json_schema() -> String {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<File>();
    format!("{:#}\n", schema.as_value())
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": entry })
    }
}

/// Declares the schema of a string with a unit.
macro_rules! unit {
    ($name:ident: $pattern:literal) => {
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

unit!(Size: "^[0-9]+ *(B|KiB|MiB|GiB)$");
unit!(Period: "^[0-9]+ *(ms|s|m|h|d)$");
unit!(Rate: "^[0-9]+/(s|min|h)$");

impl<T: JsonSchema> JsonSchema for OrOff<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}OrOff", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let bound = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [bound, { "const": "off" }] })
    }
}
