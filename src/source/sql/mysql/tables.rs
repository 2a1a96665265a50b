//! The tables that a query names, as far as its text shows them: a server names only the first that may not be read.

use super::types::quoted;
use crate::job::lexis::{self, Kind};

/// A piece of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word, in capitals, and as it is.
    Word(String, String),
    /// What stands in backticks, without them.
    Name(String),
    /// A bracket, a comma, a point; a blank for anything else.
    Mark(char),
}

/// What is in brackets: whether it is a query, or joined tables; and whether its tables are being named.
#[derive(Debug, Clone, Copy)]
struct Level {
    has_tables: bool,
    names_tables: bool,
}

/// The tables as SQL, quoted, each once, in their order. What is only the name of a part (`WITH name AS (…)`) is none.
pub(super) fn tables(sql: &str) -> Vec<String> {
    let tokens = tokens(sql);
    let parts = parts(&tokens);
    let mut levels = vec![Level { has_tables: true, names_tables: false }];
    let (mut found, mut at, mut is_next) = (Vec::new(), 0, false);
    while let Some(token) = tokens.get(at) {
        let level = levels.last().copied().unwrap_or(Level { has_tables: true, names_tables: false });
        let was_next = std::mem::take(&mut is_next);
        at += 1;
        match token {
            Token::Mark('(') => {
                let is_query =
                    matches!(tokens.get(at), Some(Token::Word(word, _)) if word == "SELECT" || word == "WITH");
                is_next = was_next && !is_query;
                levels.push(Level { has_tables: is_query || was_next, names_tables: is_next });
            }
            Token::Mark(')') if levels.len() > 1 => {
                levels.pop();
            }
            Token::Mark(',') => is_next = level.names_tables,
            Token::Word(word, _) if is_from(word) => {
                is_next = level.has_tables;
                set(&mut levels, level.has_tables);
            }
            Token::Word(word, _) if ends(word) => set(&mut levels, false),
            Token::Word(_, name) | Token::Name(name) if was_next => match (tokens.get(at), tokens.get(at + 1)) {
                (Some(Token::Mark('.')), Some(Token::Word(_, table) | Token::Name(table))) => {
                    found.push(format!("{}.{}", quoted(name), quoted(table)));
                    at += 2;
                }
                _ if parts.iter().any(|part| part.eq_ignore_ascii_case(name)) => {}
                _ => found.push(quoted(name)),
            },
            _ => {}
        }
    }
    let mut once: Vec<String> = Vec::new();
    found.into_iter().for_each(|table| {
        if !once.contains(&table) {
            once.push(table)
        }
    });
    once
}

fn set(levels: &mut [Level], names_tables: bool) {
    if let Some(level) = levels.last_mut() {
        level.names_tables = names_tables;
    }
}

fn is_from(word: &str) -> bool {
    matches!(word, "FROM" | "JOIN" | "STRAIGHT_JOIN")
}

fn ends(word: &str) -> bool {
    matches!(word, "SELECT" | "WHERE" | "GROUP" | "HAVING" | "ORDER" | "LIMIT" | "UNION" | "WINDOW")
}

/// The names before `AS (`, also with columns: `name (a, b) AS (`.
fn parts(tokens: &[Token]) -> Vec<&str> {
    let is_as = |at: usize| matches!(&tokens[at], Token::Word(word, _) if word == "AS");
    let bodies = (1..tokens.len()).filter(|at| is_as(*at) && tokens.get(at + 1) == Some(&Token::Mark('(')));
    let named = bodies.filter_map(|at| match &tokens[at - 1] {
        Token::Mark(')') => {
            let open = tokens[..at - 1].iter().rposition(|token| *token == Token::Mark('('))?;
            tokens.get(open.checked_sub(1)?)
        }
        token => Some(token),
    });
    named
        .filter_map(|token| match token {
            Token::Word(_, name) | Token::Name(name) => Some(name.as_str()),
            Token::Mark(_) => None,
        })
        .collect()
}

fn tokens(sql: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    for (kind, range) in lexis::parts(sql) {
        let part = &sql[range];
        match kind {
            Kind::Comment => {}
            Kind::Quoted => tokens.push(match part.strip_prefix('`').and_then(|part| part.strip_suffix('`')) {
                Some(name) => Token::Name(name.replace("``", "`")),
                None => Token::Mark(' '),
            }),
            Kind::Code => code(part, &mut tokens),
        }
    }
    tokens
}

fn code(part: &str, tokens: &mut Vec<Token>) {
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    for piece in part.split_inclusive(|c: char| !is_of_word(c)) {
        let word = piece.trim_end_matches(|c: char| !is_of_word(c));
        if !word.is_empty() {
            tokens.push(Token::Word(word.to_uppercase(), word.to_owned()));
        }
        match piece.chars().last().filter(|c| !is_of_word(*c) && !c.is_whitespace()) {
            Some(mark @ ('(' | ')' | ',' | '.')) => tokens.push(Token::Mark(mark)),
            Some(_) => tokens.push(Token::Mark(' ')),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(sql: &str, expected: &[&str]) {
        assert_eq!(super::tables(sql), expected, "{sql}");
    }

    #[test]
    fn tables_are_found_where_they_are_named() {
        check("SELECT * FROM orgs", &["`orgs`"]);
        check(
            "select o.id from crm.orgs o join `Members` m on m.id = o.id left join x.`y``z` using (id)",
            &["`crm`.`orgs`", "`Members`", "`x`.`y``z`"],
        );
        check(
            "SELECT a, b FROM orgs, plans p, (SELECT x, y FROM seats) s WHERE a IN (SELECT id FROM gone), b",
            &["`orgs`", "`plans`", "`seats`", "`gone`"],
        );
        check("SELECT * FROM (a JOIN b ON a.x = b.x), c -- FROM d\n/* JOIN e */", &["`a`", "`b`", "`c`"]);
        check(
            "SELECT * FROM a JOIN b USING (x, y), c JOIN d ON f(d.x, 1) = c.x, e",
            &["`a`", "`b`", "`c`", "`d`", "`e`"],
        );
        check("SELECT * FROM a UNION ALL SELECT * FROM a", &["`a`"]);
    }

    #[test]
    fn what_is_no_table_is_not_taken_for_one() {
        check(
            "SELECT EXTRACT(YEAR FROM created), TRIM(LEADING 'x' FROM name), SUBSTRING(name FROM 2) FROM orgs",
            &["`orgs`"],
        );
        check("WITH RECURSIVE a AS (SELECT 1), b (x, y) AS (SELECT * FROM orgs) SELECT * FROM a JOIN B", &["`orgs`"]);
        check("SELECT 'FROM x', COUNT(*) AS n, MAX(a) FROM orgs GROUP BY b, c ORDER BY d, e", &["`orgs`"]);
        check("SELECT 1", &[]);
        check(")) FROM", &[]);
    }
}
