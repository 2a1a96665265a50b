//! Which types of drivers are carried, and as what. Pure.
//!
//! The same types as `normalise` has a kind for; what it refuses is refused here already, with what to write instead, and all of it at once.

use arrow::datatypes::{DataType, Field, FieldRef};
use std::sync::Arc;

/// How a column's arrays become ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Carried {
    AsIs,
    /// By Arrow's cast to a type that has the same values.
    Cast(DataType),
    /// 16 bytes as the text of a UUID.
    Uuid,
}

/// Why a column is not carried, and so what to write instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Bytes.
    Bytes,
    /// No form in JSON, but one as text.
    Text,
    /// `source.json` names it.
    NotText,
}

impl Refusal {
    /// What to write instead of the column, in the dialect that the driver's name stands for.
    pub(super) fn remedy(self, driver: &str, backticks: bool, name: &str) -> String {
        let driver = driver.to_ascii_lowercase();
        let column = match backticks {
            true => format!("`{name}`"),
            false => format!("\"{name}\""),
        };
        match self {
            Refusal::Bytes if driver.contains("postgres") || driver.contains("redshift") => {
                format!("encode({column}, 'hex') AS {column}")
            }
            Refusal::Bytes if driver.contains("snowflake") => format!("HEX_ENCODE({column}) AS {column}"),
            Refusal::Bytes if driver.contains("bigquery") => format!("TO_HEX({column}) AS {column}"),
            Refusal::Bytes => format!("hex({column}) AS {column}"),
            Refusal::Text if backticks => format!("CAST({column} AS STRING) AS {column}"),
            Refusal::Text => format!("CAST({column} AS VARCHAR) AS {column}"),
            Refusal::NotText => format!("{column} without its name in source.json, which is for text"),
        }
    }
}

/// The type that a column has in our schema, how its arrays become that, and whether its text is JSON.
///
/// # Errors
/// What to write instead.
pub(super) fn carried(field: &Field, named_json: bool) -> Result<(DataType, Carried, bool), Refusal> {
    let found = field.data_type();
    let extension = metadata(field, "ARROW:extension:name");
    if extension == "arrow.uuid" && *found == DataType::FixedSizeBinary(16) {
        return if named_json { Err(Refusal::NotText) } else { Ok((DataType::Utf8View, Carried::Uuid, false)) };
    }
    let is_text = is_text(found);
    if named_json && !is_text {
        return Err(Refusal::NotText);
    }
    refusal(found)?;
    // What lies beneath means something else: an extension that is none of ours; cents; an unsigned number in a signed one.
    if (extension == "arrow.opaque" && !is_text) || matches!(metadata(field, POSTGRES), "money" | "oid") {
        return Err(Refusal::Text);
    }
    let json = named_json || (is_text && is_json(field, extension));
    Ok(match found {
        DataType::Dictionary(_, values) if self::is_text(values) => {
            let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            let carried = if *found == dictionary { Carried::AsIs } else { Carried::Cast(dictionary) };
            (DataType::Utf8View, carried, json)
        }
        _ => match plain(found) {
            same if same == *found => (same, Carried::AsIs, json),
            other => (other.clone(), Carried::Cast(other), json),
        },
    })
}

/// PostgreSQL's driver says here what a column is to the database.
const POSTGRES: &str = "POSTGRESQL:type";

fn metadata<'f>(field: &'f Field, key: &str) -> &'f str {
    field.metadata().get(key).map_or("", String::as_str)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// Whether a driver says that a column of text holds JSON, each in a way of its own. PostgreSQL's driver hands `numeric` over as text,
/// without a scale; as JSON it is compared by number and sent as one.
fn is_json(field: &Field, extension: &str) -> bool {
    matches!(extension, "arrow.json" | "google:sqlType:json")
        || matches!(metadata(field, POSTGRES), "json" | "jsonb" | "numeric")
        || matches!(metadata(field, "logicalType"), "VARIANT" | "OBJECT" | "ARRAY")
}

fn refusal(data_type: &DataType) -> Result<(), Refusal> {
    match data_type {
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Err(Refusal::Bytes)
        }
        DataType::Duration(_) | DataType::Interval(_) | DataType::Union(_, _) => Err(Refusal::Text),
        DataType::Dictionary(_, values) => refusal(values),
        DataType::RunEndEncoded(_, values) => refusal(values.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => refusal(item.data_type()),
        DataType::Struct(members) => members.iter().try_for_each(|member| refusal(member.data_type())),
        _ => Ok(()),
    }
}

/// The type without dictionaries and runs, at any depth.
fn plain(data_type: &DataType) -> DataType {
    let inner =
        |field: &FieldRef| -> FieldRef { Arc::new(field.as_ref().clone().with_data_type(plain(field.data_type()))) };
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::ListView(item) => DataType::ListView(inner(item)),
        DataType::LargeListView(item) => DataType::LargeListView(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(members) => DataType::Struct(members.iter().map(inner).collect()),
        other => other.clone(),
    }
}

/// A column's type as messages call it: as its database does, where the driver says that.
pub(super) fn shown(field: &Field) -> String {
    match metadata(field, POSTGRES) {
        "" => field.data_type().to_string(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalise::{Plan, Role};
    use crate::source::Typing;
    use arrow::datatypes::{IntervalUnit, Schema, TimeUnit, UnionFields, UnionMode};
    use std::collections::HashMap;

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new("item", item, true)))
    }

    fn dictionary(values: DataType) -> DataType {
        DataType::Dictionary(Box::new(DataType::UInt8), Box::new(values))
    }

    fn is_sent(data_type: &DataType) -> bool {
        let schema = Arc::new(Schema::new(vec![Field::new("x", data_type.clone(), true)]));
        Plan::new(&schema, &Typing::Declared, None, &|_| Role::Strict).is_ok()
    }

    #[test]
    fn exactly_what_can_be_sent_is_carried() {
        let struct_of = |member| DataType::Struct(vec![Field::new("a", member, true)].into());
        let union = DataType::Union(UnionFields::empty(), UnionMode::Sparse);
        for data_type in [
            DataType::Null,
            DataType::Boolean,
            DataType::Int8,
            DataType::UInt64,
            DataType::Float16,
            DataType::Float64,
            DataType::Utf8,
            DataType::LargeUtf8,
            DataType::Utf8View,
            DataType::Date32,
            DataType::Date64,
            DataType::Time32(TimeUnit::Second),
            DataType::Time64(TimeUnit::Nanosecond),
            DataType::Timestamp(TimeUnit::Second, None),
            DataType::Timestamp(TimeUnit::Nanosecond, Some("Etc/UTC".into())),
            DataType::Decimal32(5, 2),
            DataType::Decimal64(15, 2),
            DataType::Decimal128(38, 10),
            DataType::Decimal256(76, 38),
            DataType::Binary,
            DataType::LargeBinary,
            DataType::BinaryView,
            DataType::FixedSizeBinary(4),
            DataType::Duration(TimeUnit::Second),
            DataType::Interval(IntervalUnit::MonthDayNano),
            union,
            list(DataType::Int8),
            list(DataType::Binary),
            struct_of(DataType::Utf8),
            struct_of(list(DataType::Interval(IntervalUnit::YearMonth))),
            DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Int32, true)), 2),
            dictionary(DataType::Utf8),
            dictionary(DataType::Int64),
            dictionary(DataType::Binary),
            list(dictionary(DataType::Utf8)),
        ] {
            let carried = carried(&Field::new("x", data_type.clone(), true), false);
            assert_eq!(carried.is_ok(), is_sent(&data_type), "{data_type}");
            if let Ok((ours, _, _)) = carried {
                assert!(is_sent(&ours), "{data_type} as {ours}");
            }
        }
    }

    #[test]
    fn text_that_is_json_and_what_only_looks_like_bytes() {
        let check = |data_type: DataType, key: &str, value: &str, named| {
            let metadata = HashMap::from([(key.to_owned(), value.to_owned())]);
            carried(&Field::new("x", data_type, true).with_metadata(metadata), named)
        };
        for (key, value) in [
            ("ARROW:extension:name", "arrow.json"),
            (POSTGRES, "jsonb"),
            (POSTGRES, "numeric"),
            ("logicalType", "VARIANT"),
        ] {
            assert_eq!(check(DataType::Utf8, key, value, false), Ok((DataType::Utf8, Carried::AsIs, true)), "{value}");
        }
        assert_eq!(check(DataType::Utf8, "", "", true), Ok((DataType::Utf8, Carried::AsIs, true)));
        assert_eq!(check(DataType::Int64, "", "", true), Err(Refusal::NotText));
        assert_eq!(check(DataType::Utf8, "logicalType", "TEXT", false), Ok((DataType::Utf8, Carried::AsIs, false)));
        assert_eq!(check(DataType::Int64, POSTGRES, "money", false), Err(Refusal::Text));
        assert_eq!(check(DataType::Int64, POSTGRES, "int8", false), Ok((DataType::Int64, Carried::AsIs, false)));
        let uuid = check(DataType::FixedSizeBinary(16), "ARROW:extension:name", "arrow.uuid", false);
        assert_eq!(uuid, Ok((DataType::Utf8View, Carried::Uuid, false)));
        assert_eq!(check(DataType::FixedSizeBinary(16), "", "", false), Err(Refusal::Bytes));
        assert_eq!(check(DataType::Int64, "ARROW:extension:name", "arrow.opaque", false), Err(Refusal::Text));
    }

    #[test]
    fn remedies_are_in_the_database_s_own_words() {
        for (refusal, driver, backticks, expected) in [
            (Refusal::Bytes, "/lib/libduckdb.so", false, "hex(\"x\") AS \"x\""),
            (Refusal::Bytes, "libadbc_driver_postgresql.so", false, "encode(\"x\", 'hex') AS \"x\""),
            (Refusal::Bytes, "bigquery", true, "TO_HEX(`x`) AS `x`"),
            (Refusal::Bytes, "snowflake", false, "HEX_ENCODE(\"x\") AS \"x\""),
            (Refusal::Text, "spark", true, "CAST(`x` AS STRING) AS `x`"),
            (Refusal::Text, "libduckdb.so", false, "CAST(\"x\" AS VARCHAR) AS \"x\""),
        ] {
            assert_eq!(refusal.remedy(driver, backticks, "x"), expected);
        }
    }

    #[test]
    fn dictionaries_are_the_pipelines_or_plain() {
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let of = |data_type: DataType| carried(&Field::new("x", data_type, true), false).unwrap();
        assert_eq!(of(dictionary(DataType::Utf8)), (DataType::Utf8View, Carried::Cast(text.clone()), false));
        assert_eq!(of(text), (DataType::Utf8View, Carried::AsIs, false));
        assert_eq!(of(dictionary(DataType::Int64)), (DataType::Int64, Carried::Cast(DataType::Int64), false));
        let plain = list(DataType::Utf8);
        assert_eq!(of(list(dictionary(DataType::Utf8))), (plain.clone(), Carried::Cast(plain), false));
    }
}
