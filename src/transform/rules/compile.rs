//! Binds the steps of a column to its pair: which kind of value each step gets, how the last one's
//! crosses, and whether all of it comes back where rows are matched by the column.
//!
//! A list that cannot work is refused here, by the step's number, name and place.

use super::bind::Ground;
use super::kind::Kind;
use super::lookup::Lists;
use super::mend::mends;
use super::run::{Cast, Placed, Rules};
use super::settings::Settings;
use super::stand;
use super::step::Step;
use crate::config::Dialect;
use crate::model::{Column, Table, Type};
use crate::transform::conversion::Conversion;
use crate::transform::mapping::{int_fit, label_fit};
use crate::transform::{Fit, pair, reverse};

/// A column pair and where it is.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    /// The source's table, its column, and its dialect.
    pub source: (&'a Table, &'a Column, Dialect),
    /// The target's.
    pub target: (&'a Table, &'a Column, Dialect),
    /// Whether rows are matched by the column.
    pub key: bool,
    /// The tables that its steps look into.
    pub lists: &'a Lists,
}

/// A column pair with its rules.
pub struct Compiled {
    /// How what the last step makes crosses.
    pub conversion: Conversion,
    /// The rules; none where the column needs none.
    pub rules: Option<Rules>,
    /// From the target's value to what the last step made; for match keys.
    pub reverse: Option<Conversion>,
}

/// Compiles the steps of a column, under the settings that hold for it.
///
/// # Errors
/// Why the pair cannot cross, or which step cannot work.
pub fn compile(site: &Site<'_>, steps: &[Step], settings: &Settings) -> Result<Compiled, String> {
    let (_, source, dialect) = site.source;
    // Steps of its own decide alone what a column becomes.
    let stand = stand::step(site, settings).filter(|_| steps.iter().all(Step::is_setting));
    // It has no number, so that those that are written keep theirs.
    let first = usize::from(stand.is_none());
    let steps: &[Step] = &stand.into_iter().chain(steps.iter().cloned()).collect::<Vec<_>>();
    let placed = bind(site, steps, first)?;
    let kind = placed.last().map_or(Kind::of(&source.ty), |step| step.bound.kind);
    let end = end(site, kind, !steps.is_empty())?;
    let own = Settings(steps.iter().filter_map(|step| step.choice.clone()).collect());
    let written: Vec<&str> = own.0.keys().copied().collect();
    if site.key && !own.0.is_empty() {
        return Err(format!(
            "`{}`: rows are matched by the column, so its values are as they are",
            written.join("`, `")
        ));
    }
    // What would make one key of two is never done to a key.
    let settings = if site.key { Settings::default() } else { settings.under(&own) };
    let mends = mends(&settings, &written, (source, dialect), (kind, &end.conversion))?;
    if site.key
        && let Some(step) = placed.iter().find(|step| !step.bound.reads.is_empty())
    {
        return Err(format!(
            "step {} (`{}`) looks at other columns, and rows are matched by this one: of a row that goes \
             the log may hold the key alone",
            step.number, step.name
        ));
    }
    let has_way_back = placed.iter().all(|step| step.bound.back.is_some());
    if site.key && !has_way_back {
        let lossy = placed.iter().find(|step| step.bound.back.is_none());
        let (number, name) = lossy.map_or((0, ""), |step| (step.number, step.name));
        return Err(format!(
            "step {number} (`{name}`) has no way back, and rows are matched by the column: two keys \
             could become one"
        ));
    }
    let rules = (!placed.is_empty() || !mends.0.is_empty()).then(|| Rules {
        text: text(steps, &settings, &mends),
        lists: site.lists.digest(steps.iter()),
        steps: placed,
        cast: end.cast,
        key: site.key,
        has_way_back: has_way_back && mends.0.is_empty(),
        mends,
    });
    Ok(Compiled { conversion: end.conversion, rules, reverse: end.reverse })
}

/// The steps as JSON, and the settings that matter besides.
fn text(steps: &[Step], settings: &Settings, mends: &super::mend::Mends) -> String {
    let mut parts: Vec<String> = steps.iter().map(|step| step.text.clone()).collect();
    if !mends.0.is_empty() {
        let written = |name: &str| steps.iter().any(|step| step.name == name);
        let others =
            settings.0.iter().filter(|(name, choice)| !written(name) && !choice.is_reject());
        parts.extend(others.filter(|(name, _)| mends.is_of(name)).map(|(name, choice)| {
            format!("{{\"{name}\": {}}}", super::literal::quoted(choice.text()))
        }));
    }
    format!("[{}]", parts.join(", "))
}

fn bind(site: &Site<'_>, steps: &[Step], first: usize) -> Result<Vec<Placed>, String> {
    let mut kind = Kind::of(&site.source.1.ty);
    let mut placed = Vec::with_capacity(steps.len());
    for (number, step) in (first..).zip(steps) {
        let ground = Ground {
            kind,
            table: site.source.0,
            column: site.source.1,
            target: (site.target.0, site.target.1),
            nullable: site.target.1.nullable,
            wanted: Kind::of(&site.target.1.ty),
            key: site.key,
            lists: site.lists,
        };
        let bound = step
            .bind(&ground)
            .map_err(|why| format!("step {number} (`{}`, {}): {why}", step.name, step.at))?;
        kind = bound.kind;
        placed.push(Placed::new(number, step.name, bound));
    }
    Ok(placed)
}

/// How the last step's values cross.
struct End {
    conversion: Conversion,
    cast: Cast,
    reverse: Option<Conversion>,
}

fn end(site: &Site<'_>, kind: Kind, stepped: bool) -> Result<End, String> {
    let (_, source, dialect) = site.source;
    let (_, target, target_dialect) = site.target;
    // What steps have left of its kind crosses as the column itself does, if it does.
    let direct = match kind == Kind::of(&source.ty) {
        true => Some(pair(source, dialect, target, target_dialect)),
        false => None,
    };
    if let Some(Ok((conversion, _))) = direct {
        let reverse = (site.key && stepped)
            .then(|| reverse(source, dialect, target, target_dialect))
            .transpose()
            .map_err(|why| format!("no way back to the source: {why}"))?;
        return Ok(End { conversion, cast: Cast::None, reverse });
    }
    if !stepped {
        return Err(direct.and_then(Result::err).unwrap_or_default());
    }
    made(site, kind)
}

/// How a value crosses that a step has made.
fn made(site: &Site<'_>, kind: Kind) -> Result<End, String> {
    let (_, source, _) = site.source;
    let (_, target, target_dialect) = site.target;
    let wanted = Kind::of(&target.ty);
    let (kind, cast) = match (kind, wanted) {
        (Kind::Text, Kind::Int | Kind::Decimal) => (Kind::Decimal, Cast::TextToNumber),
        (Kind::Int | Kind::Decimal, Kind::Float) => (Kind::Float, Cast::NumberToFloat),
        (Kind::Int, Kind::Decimal) => (Kind::Decimal, Cast::None),
        (kind, _) => (kind, Cast::None),
    };
    let nullable = target.nullable;
    let fit = match (kind, &target.ty) {
        (Kind::Decimal | Kind::Bool | Kind::Int, Type::Int { bits, unsigned }) => {
            Some(int_fit(*bits, *unsigned))
        }
        (Kind::Text | Kind::Enum, Type::Enum { labels }) => Some(label_fit(labels)),
        _ => None,
    };
    let virtual_source = kind.column(source);
    let conversion = match fit {
        Some(fit) => Conversion { nullable, fit },
        None => {
            let crossed = pair(&virtual_source, Dialect::Postgres, target, target_dialect);
            crossed
                .map(|(conversion, _)| conversion)
                .map_err(|why| format!("after the last step, which makes {kind}: {why}"))?
        }
    };
    let reverse = site
        .key
        .then(|| match (&conversion.fit, &target.ty) {
            (Fit::Int { .. }, Type::Int { .. }) | (Fit::Enum { .. }, _) => {
                Ok(Conversion { nullable: false, fit: Fit::Same })
            }
            _ => reverse(&virtual_source, Dialect::Postgres, target, target_dialect),
        })
        .transpose()
        .map_err(|why| format!("no way back to the source: {why}"))?;
    Ok(End { conversion, cast, reverse })
}

#[cfg(test)]
mod tests;
