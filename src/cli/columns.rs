//! Listings for people: texts in columns under their heads, each of one line.

/// Lines under their heads, in columns; nothing where there is no line.
pub(super) fn columns<const N: usize>(heads: [&str; N], lines: Vec<[String; N]>) -> Vec<String> {
    if lines.is_empty() {
        return Vec::new();
    }
    let heads = heads.map(str::to_owned);
    let all: Vec<&[String; N]> = std::iter::once(&heads).chain(&lines).collect();
    let mut widths = [0; N];
    for cells in &all {
        for (width, cell) in widths.iter_mut().zip(cells.iter()) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |cells: &&[String; N]| {
        let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

/// The beginning of a text in one line.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars().map(|char| if char.is_control() { ' ' } else { char });
    let mut short: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}
