//! Nested Arrow values as canonical JSON text.
//!
//! The leaves of a whole array are made canonical first, column by column, and then written row by row.

use super::convert::{self, Conversion};
use super::json::{write_items, write_members};
use super::{dictionary, kinds};
use crate::row::{Column, Decimal, Kind, RowRef, Schema, Value};
use arrow::array::{Array, ArrayRef, AsArray, GenericListArray, GenericListViewArray, OffsetSizeTrait, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{ArrowNativeType, DataType};
use arrow::error::ArrowError;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Structs, lists and maps as JSON text; a value that holds something which JSON has no form for is a failure.
pub(super) fn to_json(array: &ArrayRef) -> Result<Conversion, ArrowError> {
    let node = Node::new(array)?;
    let text = |row| {
        let mut out = String::new();
        node.write(row, &mut out).map(|()| out)
    };
    Ok(convert::strings(array.len(), array.nulls(), text))
}

/// An array whose leaves are canonical.
struct Node {
    nulls: Option<NullBuffer>,
    shape: Shape,
}

enum Shape {
    /// By name; of two members of one name the last counts, as for every JSON reader.
    Object(BTreeMap<String, Node>),
    /// The rows of the items that belong to each row.
    List(Vec<(usize, usize)>, Box<Node>),
    Map {
        spans: Vec<(usize, usize)>,
        keys: Box<Node>,
        values: Box<Node>,
    },
    Leaf(Leaf),
}

struct Leaf {
    schema: Schema,
    batch: RecordBatch,
    failures: Vec<usize>,
}

impl Node {
    fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        let shape = match array.data_type() {
            DataType::Dictionary(_, _) => return Node::new(&dictionary::plain(array)?),
            DataType::RunEndEncoded(_, values) => return Node::new(&convert::cast(array, values.data_type())?),
            DataType::Struct(fields) => {
                let members = fields.iter().zip(array.as_struct().columns());
                let members = members.map(|(field, column)| Ok((field.name().clone(), Node::new(column)?)));
                Shape::Object(members.collect::<Result<_, ArrowError>>()?)
            }
            DataType::List(_) => list_of(offset_spans(array.as_list::<i32>()), array.as_list::<i32>().values())?,
            DataType::LargeList(_) => list_of(offset_spans(array.as_list::<i64>()), array.as_list::<i64>().values())?,
            DataType::ListView(_) => {
                list_of(view_spans(array.as_list_view::<i32>()), array.as_list_view::<i32>().values())?
            }
            DataType::LargeListView(_) => {
                list_of(view_spans(array.as_list_view::<i64>()), array.as_list_view::<i64>().values())?
            }
            DataType::FixedSizeList(_, length) => {
                let length = usize::try_from(*length).unwrap_or(0);
                list_of(spans(array.len(), |row| (row * length, length)), array.as_fixed_size_list().values())?
            }
            DataType::Map(_, _) => map_of(array)?,
            _ => Shape::Leaf(Leaf::new(array)?),
        };
        Ok(Node { nulls: array.nulls().cloned(), shape })
    }

    fn write(&self, row: usize, out: &mut String) -> Option<()> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.push_str("null");
            return Some(());
        }
        match &self.shape {
            Shape::Object(members) => write_members(members.iter(), out, |member, out| member.write(row, out)),
            Shape::List(spans, items) => {
                let (start, end) = *spans.get(row)?;
                write_items(start..end, out, |item, out| items.write(item, out))
            }
            Shape::Map { spans, keys, values } => {
                let (start, end) = *spans.get(row)?;
                let mut members = BTreeMap::new();
                for entry in start..end {
                    members.insert(keys.as_key(entry)?, entry);
                }
                write_members(members.iter(), out, |&entry, out| values.write(entry, out))
            }
            Shape::Leaf(leaf) => leaf.write(row, out),
        }
    }

    /// Keys of a map are text in JSON, whatever they are in the extract.
    fn as_key(&self, row: usize) -> Option<String> {
        let mut key = String::new();
        self.write(row, &mut key)?;
        Some(serde_json::from_str::<String>(&key).unwrap_or(key))
    }
}

impl Leaf {
    fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        let kind = kinds::kind_of(array.data_type()).unwrap_or(Kind::Text);
        let Conversion { array, failures } = convert::convert(array, kind)?;
        let schema = Schema { columns: vec![Column { name: String::new(), kind }] };
        let batch = RecordBatch::try_new(schema.arrow(), vec![array])?;
        Ok(Leaf { schema, batch, failures })
    }

    /// A leaf reads as a column of its type does; numbers by value.
    fn write(&self, row: usize, out: &mut String) -> Option<()> {
        if self.failures.binary_search(&row).is_ok() {
            return None;
        }
        match (RowRef { schema: &self.schema, batch: &self.batch, row }).value(0) {
            Value::Int(value) => write!(out, "{value}").ok()?,
            Value::Float(value) if !value.is_finite() => out.push_str("null"),
            number @ (Value::Float(_) | Value::Decimal { .. }) => {
                let mut text = String::new();
                number.write_json(&mut text);
                out.push_str(&Decimal::parse(&text)?.canonical());
            }
            other => other.write_json(out),
        }
        Some(())
    }
}

fn spans(len: usize, span: impl Fn(usize) -> (usize, usize)) -> Vec<(usize, usize)> {
    (0..len).map(span).map(|(start, length)| (start, start + length)).collect()
}

fn offset_spans<O: OffsetSizeTrait>(list: &GenericListArray<O>) -> Vec<(usize, usize)> {
    list.value_offsets().windows(2).map(|pair| (pair[0].as_usize(), pair[1].as_usize())).collect()
}

fn view_spans<O: OffsetSizeTrait>(list: &GenericListViewArray<O>) -> Vec<(usize, usize)> {
    spans(list.len(), |row| (list.value_offset(row).as_usize(), list.value_size(row).as_usize()))
}

/// Only the items that some row refers to are converted: a batch may be a small slice of a large list.
fn list_of(mut spans: Vec<(usize, usize)>, items: &ArrayRef) -> Result<Shape, ArrowError> {
    let (start, length) = cut(&mut spans);
    Ok(Shape::List(spans, Box::new(Node::new(&items.slice(start, length))?)))
}

fn map_of(array: &ArrayRef) -> Result<Shape, ArrowError> {
    let map = array.as_map();
    let mut spans: Vec<_> =
        map.value_offsets().windows(2).map(|pair| (pair[0].as_usize(), pair[1].as_usize())).collect();
    let (start, length) = cut(&mut spans);
    let keys = Box::new(Node::new(&map.keys().slice(start, length))?);
    let values = Box::new(Node::new(&map.values().slice(start, length))?);
    Ok(Shape::Map { spans, keys, values })
}

/// The range that the spans cover together, from which they count afterwards.
fn cut(spans: &mut [(usize, usize)]) -> (usize, usize) {
    let used = || spans.iter().filter(|(start, end)| start < end);
    let start = used().map(|s| s.0).min().unwrap_or(0);
    let end = used().map(|s| s.1).max().unwrap_or(start);
    for (from, to) in spans.iter_mut() {
        let empty = from >= to;
        (*from, *to) = if empty { (0, 0) } else { (*from - start, *to - start) };
    }
    (start, end - start)
}
