//! Tables for people: no frames, so that they paste well and can be cut with `awk`.

use comfy_table::{ContentArrangement, Table, presets};

/// An empty table with these headers.
pub fn table(headers: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(headers.iter().map(|header| header.to_uppercase()).collect::<Vec<_>>());
    table
}

/// Text from outside, safe for a terminal: a name may hold line breaks or escape sequences that would repaint the screen.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(shown("Zoë \"x\""), "Zoë \"x\"");
        assert_eq!(shown("a\nb\u{1b}[2J"), "a\\nb\\u{1b}[2J");
    }

    #[test]
    fn a_table_has_no_frames() {
        let mut table = table(&["id", "plan"]);
        table.add_row(["ws_1", "pro"]);
        assert_eq!(table.trim_fmt(), " ID    PLAN\n ws_1  pro");
    }
}
