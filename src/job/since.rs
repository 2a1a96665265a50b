//! Queries that give only the orgs that have changed: what follows for a job.

use super::lexis::{self, Kind};

/// Why such a job may not have "removed" in `diff.on`, and what to do.
pub(crate) const NOT_GONE: &str = "the query asks for {{last_success}}, so that it gives only orgs that have changed, and none can be told to be \
                                   gone: take \"removed\" out, or {{last_success}} (a column of the query such as deleted_at says it as well)";

/// Whether a query asks for `{{last_success}}`.
pub(crate) fn asks_since(query: &str) -> bool {
    let names = |code: &str| {
        code.split("{{")
            .skip(1)
            .any(|rest| rest.split_once("}}").is_some_and(|(name, _)| name.trim() == "last_success"))
    };
    // In a comment it is asked by nobody.
    lexis::parts(query).into_iter().any(|(kind, range)| kind != Kind::Comment && names(&query[range]))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_query_asks_by_name() {
        for (query, asks) in [
            ("SELECT 1 WHERE a > {{last_success}}", true),
            ("SELECT {{run_date}} WHERE a > {{ last_success }}", true),
            ("SELECT {{run_date}}", false),
            ("SELECT 1 -- WHERE a > {{last_success}}", false),
            ("SELECT last_success FROM a", false),
            ("SELECT {{last_success", false),
        ] {
            assert_eq!(super::asks_since(query), asks, "{query}");
        }
    }
}
