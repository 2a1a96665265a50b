//! Which column is the key, and which move by themselves: proposed from what the first rows look like. Pure.

use crate::cli::volatile::names;
use crate::pipeline::{Observed, Survey, Surveyed};
use crate::row::Kind;

/// What the job file is to say of the columns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Proposal {
    /// The key; empty: no column could be one.
    pub(super) key: Vec<String>,
    /// Columns that never trigger a webhook, and why.
    pub(super) ignore: Vec<(String, String)>,
    /// The others, in the source's order.
    pub(super) compared: Vec<String>,
}

/// Names of an org's id, the likeliest first; `_` and case do not count.
const KEYS: &[&str] = &[
    "id",
    "orgid",
    "organizationid",
    "organisationid",
    "workspaceid",
    "accountid",
    "tenantid",
    "companyid",
    "teamid",
    "customerid",
    "groupid",
    "siteid",
    "productorgid",
    "externalid",
    "uuid",
    "guid",
    "slug",
    "key",
];

/// Proposes a key, unless one is `given`, and what is ignored.
pub(super) fn propose(survey: &Survey, given: &[String], observed: Option<&Observed>) -> Proposal {
    let key = match given {
        [] => keys(survey).into_iter().take(1).collect(),
        given => given.to_vec(),
    };
    let (mut ignore, mut compared) = (Vec::new(), Vec::new());
    for column in survey.columns.iter().filter(|column| !key.contains(&column.name)) {
        match why_ignored(column, observed) {
            Some(why) => ignore.push((column.name.clone(), why)),
            None => compared.push(column.name.clone()),
        }
    }
    Proposal { key, ignore, compared }
}

/// The columns that could be the key, the likeliest first.
pub(super) fn keys(survey: &Survey) -> Vec<String> {
    let mut columns: Vec<&Surveyed> =
        survey.columns.iter().filter(|column| could_be_key(column, survey.rows)).collect();
    // By name; among others those that are called so; else the first.
    columns.sort_by_key(|column| {
        let name: String = column.name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let rank = KEYS.iter().position(|known| *known == name);
        rank.unwrap_or(KEYS.len() + usize::from(!name.ends_with("id")))
    });
    columns.into_iter().map(|column| column.name.clone()).collect()
}

/// Whether no row is without it, none has the same as another, and it is no measure or moment.
fn could_be_key(column: &Surveyed, rows: u64) -> bool {
    let names = matches!(column.kind, Kind::Text | Kind::Int | Kind::Decimal { scale: 0 });
    names && rows > 0 && column.nulls == 0 && column.empty == 0 && column.distinct == rows
}

fn why_ignored(column: &Surveyed, observed: Option<&Observed>) -> Option<String> {
    let changed = observed.and_then(|seen| {
        let (_, changed) = seen.changed.iter().find(|(name, _)| *name == column.name)?;
        Some(format!("has changed in {changed} of {} orgs while nothing was done", seen.orgs))
    });
    changed.or_else(|| names::moves(&column.name).then(|| "moves by itself, as its name says".to_owned()))
}

/// What is wrong with a key that somebody gave, as far as these rows show it.
pub(super) fn wrong_key(survey: &Survey, key: &[String]) -> Option<String> {
    let mut positions = Vec::new();
    for name in key {
        let Some(index) = survey.index_of(name) else {
            let names: Vec<&str> = survey.columns.iter().map(|column| column.name.as_str()).collect();
            return Some(format!("there is no column `{name}`; there are: {}", names.join(", ")));
        };
        let column = &survey.columns[index];
        if column.nulls + column.empty > 0 {
            return Some(format!(
                "`{name}` is NULL or empty in {} of {} rows",
                column.nulls + column.empty,
                survey.rows
            ));
        }
        positions.push(index);
    }
    let distinct = survey.distinct(&positions);
    (distinct < survey.rows).then(|| {
        format!(
            "{} has {distinct} different values in {} rows, and one row per org is needed",
            key.join(", "),
            survey.rows
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(rows: u64, columns: &[(&str, Kind, u64, u64)]) -> Survey {
        let column = |(name, kind, nulls, distinct): &(&str, Kind, u64, u64)| Surveyed {
            name: (*name).to_owned(),
            kind: *kind,
            purpose: "",
            nulls: *nulls,
            empty: 0,
            distinct: *distinct,
        };
        Survey {
            rows,
            columns: columns.iter().map(column).collect(),
            is_whole: true,
            first: Vec::new(),
            prints: Vec::new(),
        }
    }

    #[test]
    fn a_key_is_unique_and_not_null_and_its_name_decides() {
        use Kind::{Float, Int, Text, Timestamp};
        for (columns, expected) in [
            (vec![("name", Text, 0, 9), ("id", Int, 0, 9), ("org_id", Text, 0, 9)], vec!["id", "org_id", "name"]),
            (vec![("id", Int, 1, 9), ("Workspace_ID", Text, 0, 9)], vec!["Workspace_ID"]),
            (vec![("id", Int, 0, 8), ("accountId", Text, 0, 9)], vec!["accountId"]),
            (vec![("name", Text, 0, 9), ("billing_id", Text, 0, 9)], vec!["billing_id", "name"]),
            // Different in each row, and no names.
            (vec![("mrr", Float, 0, 9), ("created_at", Timestamp, 0, 9)], vec![]),
            (vec![], vec![]),
        ] {
            assert_eq!(keys(&survey(9, &columns)), expected, "{columns:?}");
        }
        assert!(keys(&survey(0, &[("id", Int, 0, 0)])).is_empty(), "no row tells nothing");
    }

    #[test]
    fn what_moves_is_ignored_and_the_rest_is_compared() {
        let columns = [
            ("id", Kind::Int, 0, 9),
            ("plan", Kind::Text, 0, 2),
            ("updated_at", Kind::Timestamp, 0, 9),
            ("score", Kind::Float, 0, 9),
        ];
        let survey = survey(9, &columns);
        let by_name = propose(&survey, &[], None);
        assert_eq!(by_name.key, ["id"]);
        assert_eq!(by_name.compared, ["plan", "score"]);
        assert_eq!(by_name.ignore, [("updated_at".to_owned(), "moves by itself, as its name says".to_owned())]);
        let seen = Observed { orgs: 9, changed: vec![("score".into(), 7)] };
        let twice = propose(&survey, &["plan".into()], Some(&seen));
        assert_eq!((twice.key, twice.compared), (vec!["plan".into()], vec!["id".into()]));
        let names: Vec<&str> = twice.ignore.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["updated_at", "score"]);
        assert!(twice.ignore[1].1.contains("7 of 9"), "{:?}", twice.ignore);
    }

    #[test]
    fn a_key_that_is_given_is_looked_at() {
        let survey = survey(9, &[("id", Kind::Int, 0, 9), ("owner", Kind::Text, 2, 5)]);
        assert!(wrong_key(&survey, &["owner".into()]).unwrap().contains("NULL or empty in 2 of 9"));
        assert!(wrong_key(&survey, &["ids".into()]).unwrap().contains("there are: id, owner"));
    }
}
