//! What bodies look like, by the presets of payload templates.

use crate::mapping::{Field, PayloadTemplate, TrialStatus};
use crate::receiver::MAX_EVENTS;
use crate::receiver::answer::{Ignored, Stored, StoredMany};
use serde_json::{Value, json};
use std::borrow::Cow;
use utoipa::openapi::schema::{
    AnyOfBuilder, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// What the preset `flat` reads.
pub(in crate::receiver) struct FlatBody;

impl PartialSchema for FlatBody {
    fn schema() -> RefOr<Schema> {
        of_preset("flat").description(Some("One org, as a key with the template `flat` reads it.")).into()
    }
}

impl ToSchema for FlatBody {
    fn name() -> Cow<'static, str> {
        "FlatBody".into()
    }
}

/// What the preset `segment` reads, and what every event has.
pub(in crate::receiver) struct Event;

impl PartialSchema for Event {
    fn schema() -> RefOr<Schema> {
        let template = PayloadTemplate::preset("segment");
        let envelope = template.map(|template| template.envelope).unwrap_or_default();
        let kind = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("`group`; other events say nothing about an org."));
        let mut event = of_preset("segment").property("type", kind);
        let text = |words: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(words.to_owned()));
        if let Some(path) = &envelope.timestamp {
            let time = text("When it happened. An older event overwrites nothing newer.");
            event =
                event.property(path.to_string(), time.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))));
        }
        if let Some(path) = &envelope.message_id {
            let id = text("What the sender calls it: the same again is answered as the first time, and done once.");
            event = event.property(path.to_string(), id.min_length(Some(1)).max_length(Some(255)));
        }
        event
            .description(Some("A group call of Segment or RudderStack, as a key with the template `segment` reads it."))
            .into()
    }
}

impl ToSchema for Event {
    fn name() -> Cow<'static, str> {
        "Event".into()
    }
}

/// The body of `/v1/batch`.
pub(in crate::receiver) struct BatchBody;

impl PartialSchema for BatchBody {
    fn schema() -> RefOr<Schema> {
        let events = ArrayBuilder::new().items(Ref::from_schema_name("Event")).max_items(Some(MAX_EVENTS));
        let key = ObjectBuilder::new().schema_type(Type::String);
        let key = key.description(Some("The API key, where there is no `Authorization`."));
        ObjectBuilder::new().property("batch", events).required("batch").property("writeKey", key).into()
    }
}

impl ToSchema for BatchBody {
    fn name() -> Cow<'static, str> {
        "BatchBody".into()
    }
}

/// The body of the webhook.
pub(in crate::receiver) struct WebhookBody;

impl PartialSchema for WebhookBody {
    fn schema() -> RefOr<Schema> {
        let one = || [Ref::from_schema_name("FlatBody"), Ref::from_schema_name("Event")];
        let any = |items: [Ref; 2]| items.into_iter().fold(AnyOfBuilder::new(), AnyOfBuilder::item);
        let array = ArrayBuilder::new().items(any(one())).max_items(Some(MAX_EVENTS));
        let words = "Which fields stand where is the key's payload template's to say; these are the two presets. An array is stored element by element.";
        any(one()).item(array).description(Some(words)).into()
    }
}

impl ToSchema for WebhookBody {
    fn name() -> Cow<'static, str> {
        "WebhookBody".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend([("FlatBody".to_owned(), FlatBody::schema()), ("Event".to_owned(), Event::schema())]);
    }
}

/// What the webhook answers.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only described")]
pub(in crate::receiver) enum WebhookAnswer {
    /// The body was an object.
    One(Stored),
    /// The body was an array.
    Many(StoredMany),
    /// The body was an event of which the key's template wants none.
    Ignored(Ignored),
}

/// A body that a preset reads.
pub(in crate::receiver) fn example(preset: &str) -> Value {
    PayloadTemplate::preset(preset).map_or(Value::Null, |template| template.example())
}

fn of_preset(name: &str) -> ObjectBuilder {
    let Some(template) = PayloadTemplate::preset(name) else { return ObjectBuilder::new() };
    let fields = template.fields.iter().map(|(field, path)| Place::new(&path.to_string(), of_field(*field), false));
    object(std::iter::once(Place::new(&template.product_org_id.to_string(), id(), true)).chain(fields).collect())
}

/// A field of a body.
struct Place {
    /// The names that lead there.
    path: Vec<String>,
    schema: RefOr<Schema>,
    required: bool,
}

impl Place {
    fn new(path: &str, schema: RefOr<Schema>, required: bool) -> Place {
        Place { path: path.split('.').map(str::to_owned).collect(), schema, required }
    }
}

/// An object with fields, in their order.
fn object(places: Vec<Place>) -> ObjectBuilder {
    let mut members: Vec<(String, Vec<Place>)> = Vec::new();
    for mut place in places {
        let name = place.path.remove(0);
        match members.iter_mut().find(|(member, _)| *member == name) {
            Some((_, inner)) => inner.push(place),
            None => members.push((name, vec![place])),
        }
    }
    let add = |object: ObjectBuilder, (name, inner): (String, Vec<Place>)| {
        let required = inner.iter().any(|place| place.required);
        let leaf = inner.iter().position(|place| place.path.is_empty());
        let schema = match leaf {
            Some(at) => inner[at].schema.clone(),
            None => object_of(inner),
        };
        let object = object.property(name.clone(), schema);
        if required { object.required(name) } else { object }
    };
    members.into_iter().fold(ObjectBuilder::new(), add)
}

fn object_of(places: Vec<Place>) -> RefOr<Schema> {
    object(places).into()
}

fn id() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255));
    let text = text
        .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$"))
        .description(Some("1–255 bytes of UTF-8, taken as they are."));
    let number = integer(SchemaType::new(Type::Integer)).description(Some("Taken as its decimal text."));
    AnyOfBuilder::new()
        .item(text)
        .item(number)
        .description(Some("The product org id, exact and case-sensitive."))
        .into()
}

fn integer(kind: SchemaType) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
}

/// Null clears the stored value; a field that is not there leaves it alone.
fn of_field(field: Field) -> RefOr<Schema> {
    let or_null = |kind: Type| SchemaType::from_iter([kind, Type::Null]);
    let text = || ObjectBuilder::new().schema_type(or_null(Type::String));
    match field {
        Field::Name | Field::PlanId | Field::PlanName => text(),
        Field::UserCount => integer(or_null(Type::Integer)).minimum(Some(0)),
        Field::Mrr => integer(or_null(Type::Integer)).description(Some("In cents.")),
        Field::TrialStatus => {
            let statuses = TrialStatus::ALL.iter().map(|status| json!(status.as_str()));
            text().enum_values(Some(statuses.chain([json!(""), Value::Null])))
        }
        Field::LastActiveAt => text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))),
        Field::FeatureFlags => ObjectBuilder::new().schema_type(or_null(Type::Object)),
    }
    .into()
}
