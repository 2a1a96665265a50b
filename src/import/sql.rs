//! The one table that a model reads. Nightmark reads an extract, which SQL calls `extract`; a model of one table runs over an
//! extract of that table once the name is changed. Whatever is not surely one table stays as it is.

/// A model's SQL with its table's name changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Renamed {
    pub(super) sql: String,
    /// As it was called.
    pub(super) table: String,
}

/// The tables that SQL reads, as they are written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tables {
    One(Renamed),
    /// Several, or none that is surely one.
    Other(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name or keyword, or several names with dots between.
    Name,
    Open,
    Close,
    Comma,
    Other,
}

#[derive(Debug, Clone, Copy)]
struct Token<'s> {
    kind: Kind,
    text: &'s str,
    at: usize,
}

impl Token<'_> {
    fn is(&self, word: &str) -> bool {
        self.kind == Kind::Name && self.text.eq_ignore_ascii_case(word)
    }
}

/// Words that may follow a table and are no alias of it.
const AFTER: [&str; 22] = [
    "where",
    "group",
    "order",
    "limit",
    "having",
    "join",
    "inner",
    "left",
    "right",
    "full",
    "cross",
    "on",
    "union",
    "except",
    "intersect",
    "qualify",
    "window",
    "sample",
    "tablesample",
    "offset",
    "fetch",
    "for",
];
/// Functions that have a FROM of their own: `EXTRACT(day FROM t)`.
const FROM_INSIDE: [&str; 5] = ["extract", "trim", "substring", "overlay", "position"];

pub(super) fn tables(sql: &str) -> Tables {
    let tokens = tokens(sql);
    let mut found: Vec<usize> = Vec::new();
    let mut lists = false;
    // What each open parenthesis belongs to.
    let mut inside: Vec<bool> = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => {
                let before = i.checked_sub(1).map(|i| tokens[i]);
                inside.push(before.is_some_and(|before| FROM_INSIDE.iter().any(|name| before.is(name))));
            }
            Kind::Close => drop(inside.pop()),
            _ if token.is("join") || is_from(&tokens, i, inside.last() == Some(&true)) => {
                if let Some(next) = tokens.get(i + 1).filter(|next| next.kind == Kind::Name) {
                    found.push(i + 1);
                    lists |= is_followed_by_comma(&tokens, i + 1) || next.is("lateral") || next.is("unnest");
                }
            }
            _ => {}
        }
    }
    let ctes = ctes(&tokens);
    found.retain(|at| !ctes.iter().any(|cte| tokens[*at].is(cte)));
    let mut names: Vec<String> = found.iter().map(|at| tokens[*at].text.to_owned()).collect();
    names.dedup();
    let calls = found.iter().any(|at| tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Open));
    match names.as_slice() {
        [table] if !lists && !calls => {
            Tables::One(Renamed { sql: rename(sql, &tokens, &found, table), table: table.clone() })
        }
        _ => Tables::Other(names),
    }
}

/// Whether this is the FROM of a SELECT, and neither that of `IS DISTINCT FROM` nor of a function.
fn is_from(tokens: &[Token<'_>], i: usize, in_function: bool) -> bool {
    let before = |n: usize| i.checked_sub(n).map(|at| tokens[at]);
    let distinct = before(1).is_some_and(|t| t.is("distinct")) && before(2).is_some_and(|t| t.is("is") || t.is("not"));
    tokens[i].is("from") && !in_function && !distinct
}

/// `FROM a, b` and `FROM a AS x, b`.
fn is_followed_by_comma(tokens: &[Token<'_>], at: usize) -> bool {
    let rest = tokens[at + 1..].iter().filter(|token| !token.is("as"));
    let mut rest = rest.skip_while(|token| token.kind == Kind::Name && !AFTER.iter().any(|word| token.is(word)));
    rest.next().is_some_and(|token| token.kind == Kind::Comma)
}

/// The names before `AS (`, if the SQL begins with WITH.
fn ctes<'s>(tokens: &[Token<'s>]) -> Vec<&'s str> {
    if !tokens.first().is_some_and(|first| first.is("with")) {
        return Vec::new();
    }
    let named = |w: &&[Token<'s>]| w[0].kind == Kind::Name && w[1].is("as") && w[2].kind == Kind::Open;
    tokens.windows(3).filter(named).map(|w| w[0].text).collect()
}

/// Puts `extract` in the table's place. Where columns are written with the table's name, that name stays as an alias.
fn rename(sql: &str, tokens: &[Token<'_>], found: &[usize], table: &str) -> String {
    let last = table.rsplit('.').next().unwrap_or(table);
    let qualifier = format!("{}.", last.to_lowercase());
    let is_qualified = tokens.iter().any(|token| token.text.to_lowercase().starts_with(&qualifier));
    let mut out = sql.to_owned();
    for at in found.iter().rev() {
        let token = tokens[*at];
        let has_alias =
            tokens.get(at + 1).is_some_and(|next| next.kind == Kind::Name && !AFTER.iter().any(|word| next.is(word)));
        let name = match is_qualified && !has_alias {
            true => format!("extract AS {last}"),
            false => "extract".to_owned(),
        };
        out.replace_range(token.at..token.at + token.text.len(), &name);
    }
    out
}

fn tokens(sql: &str) -> Vec<Token<'_>> {
    let bytes = sql.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &sql[at..];
        let skipped = rest.len() - rest.trim_start().len();
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let (kind, length) = match bytes[at] {
            b'-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            b'/' if rest.starts_with("/*") => (None, rest.find("*/").map_or(rest.len(), |end| end + 2)),
            b'\'' => (Some(Kind::Other), quoted(rest, '\'')),
            b'(' => (Some(Kind::Open), 1),
            b')' => (Some(Kind::Close), 1),
            b',' => (Some(Kind::Comma), 1),
            _ => match name(rest) {
                0 => (Some(Kind::Other), rest.chars().next().map_or(1, char::len_utf8)),
                length => (Some(Kind::Name), length),
            },
        };
        if let Some(kind) = kind {
            tokens.push(Token { kind, text: &sql[at..at + length], at });
        }
        at += length;
    }
    tokens
}

/// The length of a text in quotes; doubled quotes are part of it.
fn quoted(text: &str, quote: char) -> usize {
    let mut rest = &text[1..];
    while let Some(end) = rest.find(quote) {
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(after) => rest = after,
            None => return text.len() - rest.len(),
        }
    }
    text.len()
}

/// The length of a name with its dots: `product.workspaces`, `"p"."w"`, `` `p.w` ``, `[p].[w]`. 0: no name.
fn name(text: &str) -> usize {
    let part = |text: &str| match text.chars().next() {
        Some(quote @ ('"' | '`')) => quoted(text, quote),
        Some('[') => text.find(']').map_or(0, |end| end + 1),
        Some(c) if c.is_alphabetic() || c == '_' => {
            text.find(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '$')).unwrap_or(text.len())
        }
        _ => 0,
    };
    let mut length = part(text);
    while length > 0
        && let Some(rest) = text[length..].strip_prefix('.')
    {
        match part(rest) {
            0 => break,
            more => length += 1 + more,
        }
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_one(sql: &str, table: &str, expected: &str) {
        let renamed = Renamed { sql: expected.to_owned(), table: table.to_owned() };
        assert_eq!(tables(sql), Tables::One(renamed), "{sql}");
    }

    #[track_caller]
    fn check_other(sql: &str, names: &[&str]) {
        assert_eq!(tables(sql), Tables::Other(names.iter().map(|n| (*n).to_owned()).collect()), "{sql}");
    }

    #[test]
    fn the_only_table_becomes_the_extract() {
        check_one("SELECT a FROM product.workspaces", "product.workspaces", "SELECT a FROM extract");
        check_one("select a from `p.w` where b", "`p.w`", "select a from extract where b");
        check_one("SELECT w.a FROM \"P\".\"W\" AS w", "\"P\".\"W\"", "SELECT w.a FROM extract AS w");
        check_one("SELECT orgs.a FROM db.orgs WHERE 1=1", "db.orgs", "SELECT orgs.a FROM extract AS orgs WHERE 1=1");
        check_one(
            "SELECT ' FROM x' -- FROM y\nFROM/* FROM z */orgs",
            "orgs",
            "SELECT ' FROM x' -- FROM y\nFROM/* FROM z */extract",
        );
        check_one(
            "SELECT EXTRACT(day FROM t), a IS NOT DISTINCT FROM b FROM orgs",
            "orgs",
            "SELECT EXTRACT(day FROM t), a IS NOT DISTINCT FROM b FROM extract",
        );
        check_one(
            "WITH live AS (SELECT * FROM orgs WHERE x) SELECT * FROM live",
            "orgs",
            "WITH live AS (SELECT * FROM extract WHERE x) SELECT * FROM live",
        );
        check_one("SELECT * FROM (SELECT * FROM orgs) s", "orgs", "SELECT * FROM (SELECT * FROM extract) s");
    }

    #[test]
    fn what_is_not_surely_one_table_stays() {
        check_other("SELECT * FROM a JOIN b ON a.x = b.x", &["a", "b"]);
        check_other("SELECT * FROM a, b", &["a"]);
        check_other("SELECT * FROM a AS x, b", &["a"]);
        check_other("SELECT * FROM generate_series(1, 2)", &["generate_series"]);
        check_other("SELECT 1", &[]);
        check_other("", &[]);
        check_other("SELECT 'unclosed FROM a", &[]);
    }
}
