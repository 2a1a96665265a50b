//! Which kind an Arrow type is.

use crate::row::Kind;
use arrow::datatypes::{DataType, FieldRef};

/// Digits after the point that a canonical decimal has at most. Of a longer scale what has more digits does not fit.
const MAX_SCALE: i8 = 38;

/// The kind of a declared Arrow type, or what to write instead.
pub(super) fn kind_of(data_type: &DataType) -> Result<Kind, &'static str> {
    Ok(match data_type {
        DataType::Boolean => Kind::Bool,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Kind::Int,
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Kind::Int,
        DataType::UInt64 => Kind::Decimal { scale: 0 },
        DataType::Float16 | DataType::Float32 | DataType::Float64 => Kind::Float,
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale) => Kind::Decimal { scale: (*scale).clamp(0, MAX_SCALE) },
        // A column that is NULL throughout has no type of its own; text fits whatever comes later best.
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Date32 | DataType::Date64 => Kind::Date,
        DataType::Time32(_) | DataType::Time64(_) => Kind::Time,
        DataType::Timestamp(_, Some(_)) => Kind::Timestamp,
        DataType::Timestamp(_, None) => Kind::LocalTimestamp,
        DataType::Dictionary(_, value) => kind_of(value)?,
        DataType::RunEndEncoded(_, value) => kind_of(value.data_type())?,
        DataType::Struct(members) => nested_of(members)?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => nested_of(std::slice::from_ref(item))?,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            return Err(
                "bytes have no place in a webhook; leave the column out with a query, or encode it (hex, base64)",
            );
        }
        DataType::Duration(_) | DataType::Interval(_) => {
            return Err("a duration has no form in JSON; cast it to a number of seconds with a query");
        }
        _ => return Err("no rule compares this type; cast it to a number or text with a query"),
    })
}

/// JSON, if every member has a form there.
fn nested_of(members: &[FieldRef]) -> Result<Kind, &'static str> {
    members.iter().try_for_each(|member| kind_of(member.data_type()).map(drop))?;
    Ok(Kind::Json)
}

/// Kinds that are compared with each other as numbers.
pub(super) fn is_number(kind: Kind) -> bool {
    matches!(kind, Kind::Int | Kind::Decimal { .. } | Kind::Float)
}

/// Whether a column that was pinned as one kind may arrive, value by value, as another.
pub(super) fn may_arrive_as(pinned: Kind, tonight: Kind) -> bool {
    pinned == tonight
        || (is_number(pinned) && is_number(tonight))
        // Formats without these types (NDJSON, CSV) write them as text.
        || (tonight == Kind::Text
            && matches!(
                pinned,
                Kind::Decimal { .. } | Kind::Date | Kind::Time | Kind::Timestamp | Kind::LocalTimestamp | Kind::Json
            ))
}
