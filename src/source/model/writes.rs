//! Whether a query would change something, as far as its text shows it. Pure.
//!
//! Where a source reads in a transaction that may only read, the database refuses that by itself. Drivers of ADBC have no such transaction, and
//! would do what they are told.

use crate::job::lexis::{self, Kind};

/// Words that a statement begins with which changes something.
const WRITE: [&str; 13] = [
    "ALTER", "COPY", "CREATE", "DELETE", "DROP", "EXPORT", "GRANT", "INSERT", "MERGE", "REPLACE", "REVOKE", "TRUNCATE",
    "UPDATE",
];
/// What may be made all the same: it is the session's own, or gone with it.
const OWN: [&str; 3] = ["TEMP", "TEMPORARY", "SECRET"];
/// What may stand before that.
const BEFORE: [&str; 5] = ["CREATE", "OR", "REPLACE", "LOCAL", "GLOBAL"];
/// What a statement in a WITH, or behind one, begins with that changes something.
const NESTED: [[&str; 2]; 4] = [["DELETE", "FROM"], ["INSERT", "INTO"], ["INSERT", "OVERWRITE"], ["MERGE", "INTO"]];

/// The first word that says so, in capitals.
pub(super) fn word(sql: &str) -> Option<&'static str> {
    let words = words(sql);
    words.split(|word| word == ";").find_map(|statement| {
        let first = statement.iter().position(|word| word != "(")?;
        let statement = &statement[first..];
        let named = |list: &[&'static str], word: &str| list.iter().copied().find(|known| *known == word);
        let mut made = statement.iter().map(String::as_str).skip_while(|word| BEFORE.contains(word));
        let mut is_own = || made.next().is_some_and(|word| OWN.contains(&word));
        match named(&WRITE, &statement[0]) {
            Some("CREATE") if is_own() => None,
            Some(word) => Some(word),
            None if statement[0] == "WITH" => nested(statement),
            None => None,
        }
    })
}

/// What changes something within a WITH (which some databases take), or behind its brackets.
fn nested(statement: &[String]) -> Option<&'static str> {
    statement.windows(4).find_map(|words| {
        if words[0] != "(" && words[0] != ")" {
            return None;
        }
        let of = |[first, second]: &[&'static str; 2]| (words[1] == *first && words[2] == *second).then_some(*first);
        let update = || (words[1] == "UPDATE" && words[3] == "SET").then_some("UPDATE");
        NESTED.iter().find_map(of).or_else(update)
    })
}

/// The words in capitals, what stands in quotes as one, brackets and semicolons; nothing else.
fn words(sql: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (kind, range) in lexis::parts(sql) {
        let part = &sql[range];
        match kind {
            Kind::Comment => {}
            Kind::Quoted => words.push("''".to_owned()),
            Kind::Code => code(part, &mut words),
        }
    }
    words
}

fn code(part: &str, words: &mut Vec<String>) {
    for piece in part.split_inclusive(|c: char| !is_of_word(c)) {
        let word = piece.trim_end_matches(|c: char| !is_of_word(c));
        if !word.is_empty() {
            words.push(word.to_uppercase());
        }
        if let Some(mark @ ('(' | ')' | ';')) = piece.chars().last() {
            words.push(mark.to_string());
        }
    }
}

/// A point joins the parts of a name.
fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_known_by_its_words() {
        for (sql, expected) in [
            ("delete from orgs returning id", "DELETE"),
            ("-- a comment\n( Insert into orgs values (1) )", "INSERT"),
            ("SELECT 1; DROP TABLE orgs", "DROP"),
            ("UPDATE orgs SET a = 1", "UPDATE"),
            ("create table a as select 1", "CREATE"),
            ("CREATE OR REPLACE VIEW a AS SELECT 1", "CREATE"),
            ("WITH a AS (DELETE FROM orgs RETURNING id) SELECT * FROM a", "DELETE"),
            ("WITH a AS (SELECT 1) INSERT INTO orgs SELECT * FROM a", "INSERT"),
            ("WITH a AS (/* x */ update orgs set b = 1 returning id) SELECT * FROM a", "UPDATE"),
            ("WITH a AS (SELECT 1) UPDATE main.orgs SET b = 1", "UPDATE"),
            ("WITH a AS (SELECT 1) MERGE INTO orgs USING a", "MERGE"),
            ("TRUNCATE orgs", "TRUNCATE"),
            ("CREATE TABLE temp AS SELECT 1", "CREATE"),
            ("COPY orgs TO 'x.csv'", "COPY"),
        ] {
            assert_eq!(word(sql), Some(expected), "{sql}");
        }
    }

    #[test]
    fn what_reads_is_let_through() {
        for sql in [
            "SELECT 1",
            "(SELECT 1) UNION ALL (SELECT 2)",
            "SELECT replace(a, 'x', 'y'), truncate(b, 1) FROM orgs",
            "SELECT 'DELETE FROM orgs; DROP TABLE orgs' FROM orgs -- ; DROP TABLE orgs",
            "SELECT \"update\", a AS delete FROM orgs",
            "WITH a AS (SELECT 1) SELECT updated_at, count(*) FROM a",
            "WITH updates AS (SELECT max(update) AS u FROM orgs) SELECT * FROM updates",
            "FROM orgs",
            "VALUES (1)",
            "ATTACH 'a.db' AS a; SELECT * FROM a.orgs",
            "CREATE SECRET (TYPE s3); SELECT 1",
            "CREATE OR REPLACE TEMP TABLE t AS SELECT 1; SELECT * FROM t",
            "SHOW TABLES",
            "",
            ";;",
        ] {
            assert_eq!(word(sql), None, "{sql}");
        }
    }
}
