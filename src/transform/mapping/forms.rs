//! Pairs of which one type is only one dialect's (type-mapping §1.4, §2.4): as text, as JSON, as the type
//! that is nearest. What is not here is refused by name.

use super::{
    DURATION_MAX, JSON_DEPTH_MARIADB, JSON_DEPTH_MAX, JSON_DEPTH_MYSQL, Sides, is_postgres,
};
use crate::config::Dialect;
use crate::model::Type;
use crate::model::schema::{DecimalSize, JsonKind};
use crate::model::shape::{Figure, Shape};
use crate::transform::conversion::{DecimalDigits, DecimalFit, Fit, JsonFit, Numbers, SpecialFit};
use crate::transform::forms::convert::FormFit;
use crate::transform::forms::structure::has_json;

/// What jsonb takes.
pub(crate) const JSONB: JsonFit = JsonFit {
    into_text: false,
    unchecked: false,
    depth_max: JSON_DEPTH_MAX,
    unique_names: true,
    no_nul: true,
    no_lone_surrogates: true,
    numbers: Numbers::Numeric,
    bytes_max: None,
};

/// Limits of a numeric.
pub(crate) fn numeric(size: DecimalSize) -> DecimalFit {
    DecimalFit {
        size: Some(DecimalDigits {
            whole_max: i32::from(size.precision) - i32::from(size.scale),
            scale: i32::from(size.scale),
        }),
        negative: true,
        special: SpecialFit::NaN,
    }
}

impl Sides<'_> {
    /// How a pair crosses of which one side is a native type of its dialect.
    pub(super) fn form(&self) -> Result<Option<Fit>, String> {
        let fit = match (is_postgres(self.source_dialect), self.targets_postgres()) {
            (true, false) => self.leaving_postgres()?,
            (false, true) => self.entering_postgres()?,
            (true, true) => self.within_postgres()?,
            (false, false) => self.within_mysql()?,
        };
        Ok(fit.map(|fit| Fit::Form(Box::new(fit))))
    }

    fn leaving_postgres(&self) -> Result<Option<FormFit>, String> {
        let (source, target) = (&self.source.ty, &self.target.ty);
        if let (Type::Bytes { .. }, Some(Shape::Geometry { kind, srid })) = (source, target.shape())
        {
            return Ok(Some(FormFit::Geometry { kind: *kind, srid: *srid }));
        }
        if let (Type::Text { .. }, Some(Shape::Set(labels))) = (source, target.shape()) {
            return Ok(Some(FormFit::Set { labels: labels.clone() }));
        }
        let Some(shape) = source.shape() else { return Ok(None) };
        let number = |bits: u8, unsigned: bool| u64::MAX >> (64 - bits + u8::from(!unsigned));
        Ok(Some(match (shape, target, target.shape()) {
            (Shape::Unsigned { .. }, Type::Int { bits, unsigned }, _) => {
                FormFit::Number { max: number(*bits, *unsigned) }
            }
            (Shape::Money { digits }, Type::Decimal(size), _) => {
                FormFit::Money { digits: *digits, fit: self.decimal(*size) }
            }
            (Shape::Bits { count }, _, Some(Shape::Bits { count: other })) if count == other => {
                FormFit::Bits { count: *count }
            }
            (Shape::Bits { count: 1 }, Type::Bool, _) if super::is_bit(self.target) => FormFit::Bit,
            (Shape::Interval { .. }, Type::Time { digits }, _) => {
                FormFit::Time { max: DURATION_MAX, digits: *digits }
            }
            (Shape::Inet, _, Some(Shape::Address { bytes })) => FormFit::Address { bytes: *bytes },
            (
                Shape::Figure(Figure::Point),
                _,
                Some(Shape::Geometry { kind: None | Some(1), srid }),
            ) => {
                self.no_system(*srid)?;
                FormFit::Point
            }
            (Shape::Geometry { .. }, _, Some(Shape::Geometry { kind, srid })) => {
                FormFit::Geometry { kind: *kind, srid: *srid }
            }
            (Shape::Array { element, .. }, _, Some(Shape::Vector { count }))
                if **element == Type::F32 =>
            {
                FormFit::Vector { count: *count }
            }
            (Shape::Vector { .. }, _, Some(Shape::Vector { count })) => {
                FormFit::Vector { count: *count }
            }
            (Shape::Array { element, .. }, _, Some(Shape::Set(labels)))
                if matches!(**element, Type::Text { .. }) =>
            {
                FormFit::SetOfArray { ty: source.clone(), labels: labels.clone() }
            }
            (Shape::Text { .. }, _, Some(Shape::Set(labels))) => {
                FormFit::Set { labels: labels.clone() }
            }
            (shape, Type::Json(kind), _) if is_structure(shape) => {
                if !has_json(source) {
                    return Err(self.needs_rule("a type inside it has no form that crosses"));
                }
                FormFit::Json { ty: source.clone(), fit: self.json_of(*kind)? }
            }
            (shape, Type::Text { .. } | Type::Char { .. }, _) if is_text(shape) => {
                FormFit::Text(self.text()?)
            }
            _ => return Err(self.needs_rule("no direct conversion exists")),
        }))
    }

    fn entering_postgres(&self) -> Result<Option<FormFit>, String> {
        let (source, target) = (&self.source.ty, &self.target.ty);
        if let (Some(Shape::Geometry { .. }), Type::Bytes { .. }) = (source.shape(), target) {
            return Ok(Some(FormFit::Ewkb));
        }
        if let (Some(Shape::Set(_)), Type::Text { .. }) = (source.shape(), target) {
            return Ok(Some(FormFit::Labels(self.text()?)));
        }
        let Some(shape) = target.shape() else {
            return match source.shape() {
                Some(_) => Err(self.needs_rule("no direct conversion exists")),
                None => Ok(None),
            };
        };
        Ok(Some(match (source, source.shape(), shape) {
            (Type::Int { .. }, _, Shape::Unsigned { bits }) => {
                FormFit::NumberText { max: u64::MAX >> (64 - bits) }
            }
            (Type::Decimal(_), _, Shape::Money { digits }) => {
                FormFit::MoneyText { digits: *digits }
            }
            (_, Some(Shape::Bits { count }), Shape::Bits { count: other }) if count == other => {
                FormFit::BitsText { count: *count }
            }
            (Type::Bool, _, Shape::Bits { count: 1 }) if super::is_bit(self.source) => {
                FormFit::BitsText { count: 1 }
            }
            (Type::Time { .. }, _, Shape::Interval { digits, whole: true }) => {
                FormFit::IntervalOfTime { digits: *digits }
            }
            (_, Some(Shape::Address { .. }), Shape::Inet) => self.parsed(shape),
            (_, Some(Shape::Geometry { srid, .. }), Shape::Figure(Figure::Point)) => {
                self.no_system(*srid)?;
                FormFit::PointText
            }
            (_, Some(Shape::Geometry { .. }), Shape::Geometry { .. }) => FormFit::EwkbText,
            (_, Some(Shape::Vector { .. }), Shape::Array { element, .. })
                if **element == Type::F32 =>
            {
                FormFit::VectorText { count: None, array: true }
            }
            (_, Some(Shape::Vector { .. }), Shape::Vector { count }) => {
                FormFit::VectorText { count: *count, array: false }
            }
            (_, Some(Shape::Set(_)), Shape::Array { element, .. })
                if matches!(**element, Type::Text { .. }) =>
            {
                FormFit::LabelsArray { ty: target.clone() }
            }
            (_, Some(Shape::Set(_)), Shape::Text { .. }) => FormFit::Labels(self.text()?),
            (Type::Json(_), _, shape) if is_structure(shape) && has_json(target) => {
                FormFit::FromJson { ty: target.clone() }
            }
            (Type::Text { .. } | Type::Char { .. }, _, shape) if is_read(shape) => {
                self.parsed(shape)
            }
            _ => return Err(self.needs_rule("no direct conversion exists")),
        }))
    }

    /// Between PostgreSQL servers types of its own cross into themselves only, which is settled before.
    fn within_postgres(&self) -> Result<Option<FormFit>, String> {
        match (self.source.ty.shape(), self.target.ty.shape()) {
            (None, None) => Ok(None),
            (Some(Shape::Money { digits }), Some(Shape::Money { digits: to })) => {
                Ok(Some(FormFit::MoneySame { digits: *digits, to: *to }))
            }
            (Some(_), Some(_)) => Err(self.needs_rule("the two are different types")),
            _ => Err(self.needs_rule("no direct conversion exists")),
        }
    }

    /// MySQL and MariaDB share types, which is settled before.
    fn within_mysql(&self) -> Result<Option<FormFit>, String> {
        match (self.source.ty.shape(), self.target.ty.shape()) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(self.needs_rule("the two are different types")),
            _ => Err(self.needs_rule("no direct conversion exists")),
        }
    }

    /// A `point` has no reference system: a column that asks for one holds nothing that crosses.
    fn no_system(&self, srid: Option<u32>) -> Result<(), String> {
        match srid {
            None | Some(0) => Ok(()),
            Some(srid) => {
                Err(self.needs_rule(&format!("`point` has no SRID, and {srid} is asked for")))
            }
        }
    }

    fn parsed(&self, shape: &Shape) -> FormFit {
        FormFit::Parsed { shape: shape.clone(), spelled: false }
    }

    fn json_of(&self, kind: JsonKind) -> Result<JsonFit, String> {
        self.charset()?;
        Ok(JsonFit {
            depth_max: match (self.target_dialect, kind) {
                (Dialect::Mariadb, _) => JSON_DEPTH_MARIADB,
                (_, JsonKind::Mysql) => JSON_DEPTH_MYSQL,
                _ => JSON_DEPTH_MAX,
            },
            unique_names: kind == JsonKind::Mysql,
            no_nul: false,
            no_lone_surrogates: true,
            numbers: if kind == JsonKind::Mysql { Numbers::Mysql } else { Numbers::Any },
            bytes_max: None,
            ..JSONB
        })
    }
}

/// What crosses as JSON.
fn is_structure(shape: &Shape) -> bool {
    matches!(
        shape,
        Shape::Array { .. } | Shape::Composite(_) | Shape::Hstore | Shape::Vector { .. }
    )
}

/// What crosses as text.
fn is_text(shape: &Shape) -> bool {
    is_read(shape) || *shape == Shape::Printed
}

/// What a text can be read as.
fn is_read(shape: &Shape) -> bool {
    match shape {
        Shape::Text { .. }
        | Shape::Letter
        | Shape::TimeTz { .. }
        | Shape::Inet
        | Shape::Cidr
        | Shape::Mac { .. }
        | Shape::Lsn
        | Shape::Ltree
        | Shape::Bits { .. }
        | Shape::VarBits { .. }
        | Shape::Figure(_) => true,
        Shape::Interval { whole, .. } => *whole,
        Shape::Range { element, .. } | Shape::Multirange { element, .. } => has_json(element),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
