//! How a nested JSON column goes through polars and its SQL: as a struct that carries each row's own JSON text.
//!
//! Polars gives every row of a struct or list column the type of all rows: an object gains the members of all others,
//! as NULLs that nobody wrote. The text is what the row really has. It is a member of the struct, [`TEXT`], so that it
//! goes wherever the column goes (through joins, subqueries, another name) and nowhere else: an expression over a member
//! is a value of its own type and no JSON.

use polars::prelude::{
    Column, DataType, IntoColumn, IntoSeries, NewChunkedArray, PlSmallStr, PolarsResult, Series, StringChunked,
    StructChunked,
};
use polars_arrow::bitmap::Bitmap;

/// The member with a row's JSON text.
pub const TEXT: &str = "$json";

/// A column of JSON texts, with members to look into; `None` is NULL.
pub fn wrap(name: PlSmallStr, texts: &[Option<&str>], members: Vec<Column>) -> PolarsResult<Column> {
    let text = StringChunked::from_iter_options(TEXT.into(), texts.iter().copied());
    let mut fields: Vec<Column> = members.into_iter().filter(|member| member.name() != TEXT).collect();
    fields.push(text.into_column());
    let column = StructChunked::from_columns(name, texts.len(), &fields)?;
    let nulls = texts.iter().any(Option::is_none);
    let valid: Option<Bitmap> = nulls.then(|| texts.iter().map(Option::is_some).collect());
    Ok(column.with_outer_validity(valid).into_column())
}

/// The JSON texts of a column that was wrapped; `None` for any other column.
pub fn unwrap(column: &Column) -> PolarsResult<Option<Column>> {
    let DataType::Struct(fields) = column.dtype() else { return Ok(None) };
    if !fields.iter().any(|field| field.name == TEXT) {
        return Ok(None);
    }
    let mut text = column.struct_()?.field_by_name(TEXT)?;
    if column.null_count() > text.null_count() {
        // A join may make the struct NULL and leave its members as they were.
        let null = Series::full_null(TEXT.into(), text.len(), text.dtype());
        text = text.zip_with(&column.is_not_null(), &null)?;
    }
    text.rename(column.name().clone());
    Ok(Some(text.into_series().into_column()))
}

/// Whether a wrapped column hides within the type, as in `ARRAY_AGG(flags)`.
pub fn within(dtype: &DataType) -> bool {
    match dtype {
        DataType::List(inner) => within(inner),
        DataType::Struct(fields) => fields.iter().any(|field| field.name == TEXT || within(field.dtype())),
        _ => false,
    }
}
