//! Geometric types of PostgreSQL in their text: `(1.5,-2)`, `[(0,0),(1,1)]`, `<(0,0),5>`, `{1,2,3}`.

use crate::model::shape::Figure;
use crate::transform::Reason;
use crate::transform::forms::{float, spell_float};

/// The one text of a figure. The corners of a box come in PostgreSQL's order.
pub(crate) fn canonical(figure: Figure, text: &str) -> Result<String, Reason> {
    match figure {
        Figure::Point => point(text).map(spell),
        Figure::Line => {
            let inner = within(text, '{', '}')?;
            let numbers = inner.split(',').map(|part| float(part.trim()));
            let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
            let [a, b, c] = numbers.as_slice() else { return Err(Reason::Parse) };
            Ok(format!("{{{},{},{}}}", spell_float(*a), spell_float(*b), spell_float(*c)))
        }
        Figure::Segment => match points(within(text, '[', ']')?)?.as_slice() {
            [one, other] => Ok(format!("[{},{}]", spell(*one), spell(*other))),
            _ => Err(Reason::Parse),
        },
        Figure::Box => match points(text)?.as_slice() {
            [(x, y), (u, v)] => {
                Ok(format!("{},{}", spell((x.max(*u), y.max(*v))), spell((x.min(*u), y.min(*v)))))
            }
            _ => Err(Reason::Parse),
        },
        Figure::Path => {
            let open = text.trim_start().starts_with('[');
            let (first, last) = if open { ('[', ']') } else { ('(', ')') };
            Ok(format!("{first}{}{last}", listed(within(text, first, last)?)?))
        }
        Figure::Polygon => Ok(format!("({})", listed(within(text, '(', ')')?)?)),
        Figure::Circle => {
            let (center, radius) = within(text, '<', '>')?.rsplit_once(',').ok_or(Reason::Parse)?;
            let radius = float(radius.trim())?;
            if radius < 0.0 {
                return Err(Reason::OutOfRange);
            }
            Ok(format!("<{},{}>", spell(point(center)?), spell_float(radius)))
        }
    }
}

/// The coordinates of a point.
pub(crate) fn point(text: &str) -> Result<(f64, f64), Reason> {
    let (x, y) = within(text, '(', ')')?.split_once(',').ok_or(Reason::Parse)?;
    Ok((float(x.trim())?, float(y.trim())?))
}

/// The text of a point.
pub(crate) fn spell((x, y): (f64, f64)) -> String {
    format!("({},{})", spell_float(x), spell_float(y))
}

fn within(text: &str, first: char, last: char) -> Result<&str, Reason> {
    text.trim().strip_prefix(first).and_then(|text| text.strip_suffix(last)).ok_or(Reason::Parse)
}

fn listed(text: &str) -> Result<String, Reason> {
    let points = points(text)?;
    if points.is_empty() {
        return Err(Reason::Parse);
    }
    Ok(points.into_iter().map(spell).collect::<Vec<_>>().join(","))
}

/// Points with commas between them.
fn points(text: &str) -> Result<Vec<(f64, f64)>, Reason> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(')').ok_or(Reason::Parse)? + 1;
        let (one, behind) = rest.split_at(end);
        found.push(point(one)?);
        let behind = behind.trim_start();
        rest = match behind.strip_prefix(',') {
            Some(next) if !next.trim().is_empty() => next.trim_start(),
            None if behind.is_empty() => "",
            _ => return Err(Reason::Parse),
        };
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if a figure came out as another one, or a text that is none were sent.
    #[test]
    fn figures_have_one_text() {
        for (figure, text, expected) in [
            (Figure::Point, "(1.5, -2)", "(1.5,-2)"),
            (Figure::Point, "(1e+20,-0)", "(1e20,0)"),
            (Figure::Line, "{1,-1,0}", "{1,-1,0}"),
            (Figure::Segment, "[(0,0),(1,1)]", "[(0,0),(1,1)]"),
            (Figure::Box, "(1,2),(3,4)", "(3,4),(1,2)"),
            (Figure::Path, "[(0,0),(1,1)]", "[(0,0),(1,1)]"),
            (Figure::Path, "((0,0),(1,1))", "((0,0),(1,1))"),
            (Figure::Polygon, "((0,0),(1,1),(1,0))", "((0,0),(1,1),(1,0))"),
            (Figure::Circle, "<(0,0),Infinity>", "<(0,0),Infinity>"),
        ] {
            assert_eq!(canonical(figure, text).as_deref(), Ok(expected), "{text}");
        }
        for (figure, text) in [
            (Figure::Point, "1,2"),
            (Figure::Point, "(1,2,3)"),
            (Figure::Line, "{1,2}"),
            (Figure::Segment, "[(0,0)]"),
            (Figure::Box, "(0,0)(1,1)"),
            (Figure::Polygon, "()"),
            (Figure::Polygon, "((0,0),)"),
            (Figure::Circle, "<(0,0)>"),
        ] {
            assert_eq!(canonical(figure, text), Err(Reason::Parse), "{text}");
        }
    }
}
