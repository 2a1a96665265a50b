//! Which columns a template may say, told from its text alone: before an extract is read, when there is no schema yet.

/// Whether the template may say something of the column: it has its name, or it takes rows as a whole (`{{ row | json }}`,
/// `{% for member in row %}`) or by names that are made while rendering (`row[name]`). In doubt it may.
pub fn may_say(template: &str, column: &str) -> bool {
    template.contains(column) || takes_rows_whole(template)
}

/// What a row, or several, is called.
const ROWS: [&str; 4] = ["row", "record", "rows", "records"];
const SEVERAL: [&str; 2] = ["rows", "records"];

fn takes_rows_whole(template: &str) -> bool {
    let mut names: Vec<&str> = ROWS.to_vec();
    for tag in tags(template) {
        let words = words(tag);
        for (at, word) in words.iter().enumerate() {
            let before = |back: usize| at.checked_sub(back).map_or("", |at| words[at].text);
            if word.is_member || !names.contains(&word.text) || before(1) == "for" {
                continue;
            }
            if before(1) == "in" && before(3) == "for" && SEVERAL.contains(&word.text) {
                names.push(before(2));
            } else if !word.is_followed_by_name {
                return true;
            }
        }
    }
    false
}

/// What stands between `{{` and `}}`, `{%` and `%}`.
fn tags(template: &str) -> Vec<&str> {
    let (mut found, mut rest) = (Vec::new(), template);
    while let Some((at, close)) =
        [("{{", "}}"), ("{%", "%}")].iter().filter_map(|(o, c)| Some((rest.find(o)?, c))).min()
    {
        let inside = &rest[at + 2..];
        let end = inside.find(close).unwrap_or(inside.len());
        found.push(&inside[..end]);
        rest = inside.get(end + 2..).unwrap_or_default();
    }
    found
}

struct Word<'t> {
    text: &'t str,
    /// Behind a dot.
    is_member: bool,
    /// By `.name` or `["name"]`.
    is_followed_by_name: bool,
}

/// The names outside of quotes.
fn words(tag: &str) -> Vec<Word<'_>> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let (mut found, mut rest, mut last) = (Vec::new(), tag, ' ');
    while let Some(c) = rest.chars().next() {
        if c == '"' || c == '\'' {
            let inside = &rest[1..];
            rest = inside.find(c).map_or("", |end| &inside[end + 1..]);
        } else if c.is_alphabetic() || c == '_' {
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let behind = rest[end..].trim_start();
            let quoted = behind.strip_prefix('[').is_some_and(|inside| inside.trim_start().starts_with(['"', '\'']));
            let is_followed_by_name = behind.starts_with('.') && !behind.starts_with("..") || quoted;
            found.push(Word { text: &rest[..end], is_member: last == '.', is_followed_by_name });
            rest = &rest[end..];
        } else {
            rest = &rest[c.len_utf8()..];
        }
        if !c.is_whitespace() {
            last = c;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::may_say;

    #[test]
    fn what_may_be_said() {
        for (template, expected) in [
            ("{\"id\": {{row.id}}}", false),
            ("{\"id\": {{ record['id'] }}, \"row\": \"row\"}", false),
            ("{{ row.seen }}", true),
            ("{{ row[\"seen\"] }}", true),
            ("{{ row | json }}", true),
            ("{{row}}", true),
            ("{% for member in row %}{{ member[0] }}{% endfor %}", true),
            ("{% assign name = \"se\" | append: \"en\" %}{{ row[name] }}", true),
            ("{% assign all = row %}{{ all.id }}", true),
            ("{% for r in rows %}{{ r.id }}{% unless forloop.last %},{% endunless %}{% endfor %}", false),
            ("{% for r in rows %}{{ r | json }}{% endfor %}", true),
            ("{\"n\": {{ rows.size }}, \"orgs\": {{ rows }}}", true),
            ("{{ row.tags.row }}{% if \"row\" == 'rows' %}{% endif %}", false),
            ("{{ row", true),
            ("{{ row.id }", false),
        ] {
            assert_eq!(may_say(template, "seen"), expected, "{template}");
        }
    }
}
