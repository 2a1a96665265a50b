//! Which Arrow types Parquet columns arrive as. Pure.

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use arrow::error::ArrowError;
use std::sync::Arc;

/// The type of a column: text as `Utf8View` and bytes as `BinaryView`, whatever the file says of offsets; categories as
/// what they stand for, since which number a category has is an accident of the file and nothing to compare.
///
/// `legacy`: a timestamp of Spark's and Impala's old form. Its nanoseconds would not fit beyond the years 1677–2262, and
/// 9999-12-31 is a common value, so it is read to the microsecond.
pub fn column(found: &DataType, legacy: bool) -> DataType {
    match found {
        DataType::Timestamp(_, zone) if legacy => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => DataType::BinaryView,
        DataType::Dictionary(_, value) => column(value, legacy),
        other => without_categories(other),
    }
}

fn without_categories(found: &DataType) -> DataType {
    let inner = |field: &FieldRef| -> FieldRef {
        Arc::new(field.as_ref().clone().with_data_type(without_categories(field.data_type())))
    };
    match found {
        DataType::Dictionary(_, value) => without_categories(value),
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(inner(item), *size),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        other => other.clone(),
    }
}

/// Whether two files' columns are of one type: what lists call their items and what may be NULL in a nested value does not
/// count.
pub fn same(a: &DataType, b: &DataType) -> bool {
    loose(a) == loose(b)
}

fn loose(data_type: &DataType) -> DataType {
    let named = |field: &Field, name: &str| Arc::new(Field::new(name, loose(field.data_type()), true));
    match data_type {
        DataType::List(item) => DataType::List(named(item, "item")),
        DataType::LargeList(item) => DataType::LargeList(named(item, "item")),
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(named(item, "item"), *size),
        DataType::Map(entries, _) => DataType::Map(named(entries, "entries"), false),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| named(field, field.name())).collect()),
        other => other.clone(),
    }
}

/// The type that text is read as where it is a dictionary in the file. Its values are not `Utf8View`: the decoder would make
/// these views anew for every batch.
pub fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// Whether a decoded column has the type that was asked for.
///
/// # Errors
/// It has not, which the decoder should have refused.
pub fn arrives(found: &DataType, field: &Field) -> Result<(), ArrowError> {
    let wanted = field.data_type();
    if same(found, wanted) || (*wanted == DataType::Utf8View && *found == dictionary()) {
        return Ok(());
    }
    Err(ArrowError::SchemaError(format!("column `{}` came as {found} instead of {wanted}", field.name())))
}

/// A type as messages call it.
pub fn shown(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8 => "str".to_owned(),
        DataType::BinaryView => "binary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::List(item) | DataType::LargeList(item) => format!("list[{}]", shown(item.data_type())),
        other if other.is_integer() || other.is_floating() => {
            other.to_string().replace("UInt", "u").replace("Int", "i").replace("Float", "f")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let category = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::LargeUtf8));
        assert_eq!(column(&category, false), DataType::Utf8View);
        let list = |name: &str, item: DataType, nullable| DataType::List(Arc::new(Field::new(name, item, nullable)));
        assert_eq!(column(&list("item", category, true), false), list("item", DataType::LargeUtf8, true));
        let int96 = DataType::Timestamp(TimeUnit::Nanosecond, None);
        assert_eq!(column(&int96, true), DataType::Timestamp(TimeUnit::Microsecond, None));
        assert_eq!(column(&int96, false), int96);
        assert!(same(&list("item", DataType::Int8, true), &list("element", DataType::Int8, false)));
        assert!(!same(&list("item", DataType::Int8, true), &list("item", DataType::Int16, true)));
        assert_eq!(shown(&list("item", DataType::UInt8, true)), "list[u8]");
        assert_eq!(shown(&DataType::Float64), "f64");
    }
}
