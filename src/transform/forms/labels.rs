//! Sets of labels: the comma-joined text of SET, and an array of text.

use crate::transform::Reason;

/// The labels of a text in the set's order. A label that comes twice is none of a set.
///
/// # Errors
/// `EnumUnknown` for a label that the set lacks, `Parse` for one that comes twice.
pub(crate) fn ordered(labels: &[String], chosen: &[String]) -> Result<String, Reason> {
    let mut places = Vec::with_capacity(chosen.len());
    for label in chosen {
        let place = labels.iter().position(|one| one == label).ok_or(Reason::EnumUnknown)?;
        if places.contains(&place) {
            return Err(Reason::Parse);
        }
        places.push(place);
    }
    places.sort_unstable();
    let names = places.iter().filter_map(|place| labels.get(*place)).map(String::as_str);
    Ok(names.collect::<Vec<_>>().join(","))
}

/// The labels of a text as SET prints it. No label of a set has a comma in it.
pub(crate) fn split(text: &str) -> Vec<String> {
    if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Broken if labels that the set lacks, or one twice, were sent: the server would drop them.
    #[test]
    fn labels_are_in_order_and_known() {
        let labels: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        assert_eq!(ordered(&labels, &split("c,a")).as_deref(), Ok("a,c"));
        assert_eq!(ordered(&labels, &split("")).as_deref(), Ok(""));
        assert_eq!(ordered(&labels, &split("d")), Err(Reason::EnumUnknown));
        assert_eq!(ordered(&labels, &split("a,a")), Err(Reason::Parse));
        assert_eq!(ordered(&labels, &split("A")), Err(Reason::EnumUnknown));
    }
}
