//! The precision and scale of a query's numerics.
//!
//! The protocol says them with each column, but the driver does not hand them on, and no function of SQL tells them of an
//! expression. Of a column that is one of a table or a view, the catalogue has them.

use sqlx::postgres::{PgColumn, PgConnection};
use std::collections::HashMap;

/// What a numeric's `typmod` counts from (`VARHDRSZ` of the server).
const HEADER: i32 = 4;

/// Precision and scale of each of these columns, where the catalogue has any.
pub(super) async fn scales(
    connection: &mut PgConnection,
    columns: &[PgColumn],
) -> Result<Vec<Option<(u16, i16)>>, sqlx::Error> {
    let origin = |column: &PgColumn| Some((column.relation_id()?.0, column.relation_attribute_no()?));
    let origins: Vec<Option<(u32, i16)>> = columns.iter().map(origin).collect();
    let (relations, numbers): (Vec<i64>, Vec<i16>) =
        origins.iter().flatten().map(|(relation, number)| (i64::from(*relation), *number)).unzip();
    // A domain has the scale of what it is over.
    let catalogue = "SELECT a.attrelid::int8, a.attnum, COALESCE(NULLIF(a.atttypmod, -1), t.typtypmod)
        FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        WHERE (a.attrelid::int8, a.attnum) IN (SELECT * FROM unnest($1::int8[], $2::int2[]))";
    let found: Vec<(i64, i16, i32)> = match relations.is_empty() {
        true => Vec::new(),
        false => sqlx::query_as(catalogue).bind(relations).bind(numbers).fetch_all(connection).await?,
    };
    let found: HashMap<(i64, i16), i32> =
        found.into_iter().map(|(of, number, modifier)| ((of, number), modifier)).collect();
    let scale = |(relation, number): (u32, i16)| found.get(&(i64::from(relation), number)).and_then(|of| parts(*of));
    Ok(origins.into_iter().map(|origin| origin.and_then(scale)).collect())
}

/// Precision in the upper 16 bits, scale in the lower 11, which have a sign since version 15.
fn parts(modifier: i32) -> Option<(u16, i16)> {
    let both = modifier.checked_sub(HEADER).filter(|both| *both >= 0)?;
    let scale = ((both & 0x7ff) ^ 0x400) - 0x400;
    Some((u16::try_from(both >> 16).ok()?, i16::try_from(scale).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_read_from_the_modifier() {
        let of = |precision: i32, scale: i32| (precision << 16 | (scale & 0x7ff)) + HEADER;
        assert_eq!(parts(of(12, 2)), Some((12, 2)));
        assert_eq!(parts(of(1000, 0)), Some((1000, 0)));
        assert_eq!(parts(of(3, -2)), Some((3, -2)));
        assert_eq!(parts(-1), None);
    }
}
