//! From values to an update of an org: the one place that decides what fits.

use super::{Envelope, Field, Misfit, OrgPatch, Patch, Path, PayloadTemplate, Reading, TrialStatus, Unfit, Update};
use chrono::{DateTime, SubsecRound, Utc};
use serde_json::{Map, Value};

/// Bytes of a product org id at most.
pub const MAX_ID: usize = 255;

/// Characters of a message id at most.
pub const MAX_MESSAGE_ID: usize = 255;

/// Whether a sender may call an update so.
pub fn is_message_id(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_MESSAGE_ID && !text.chars().any(char::is_control)
}

/// Takes the fields out of a payload. A path at which nothing stands leaves the stored value alone, a null clears it.
///
/// # Errors
/// Text for the sender, with the paths and the kinds that are wrong, never their values: "missing productOrgId" if nothing
/// or null stands at the id's path, otherwise every field that does not fit.
pub fn extract(template: &PayloadTemplate, payload: &Map<String, Value>) -> Result<Reading, String> {
    judge(template, |_, path| path.find(payload).cloned()).map_err(|unfit| unfit.to_string())
}

/// The same for values that were found already. `value`: what stands at a path, asked for at most once each, with the slot
/// that the path has in the order of [`PayloadTemplate::paths`] and then of [`Envelope::paths`].
pub(super) fn judge(
    template: &PayloadTemplate,
    mut value: impl FnMut(usize, &Path) -> Option<Value>,
) -> Result<Reading, Unfit> {
    let Envelope { timestamp, message_id, only_if } = &template.envelope;
    let mut slot = 1 + template.fields.len() + template.custom.len();
    let (time_slot, message_slot) = (slot, slot + usize::from(timestamp.is_some()));
    slot = message_slot + usize::from(message_id.is_some());
    if let Some(condition) = only_if
        && !condition.holds(value(slot, &condition.path).as_ref())
    {
        return Ok(Reading::Ignored);
    }
    let (patch, mut misfits) = fields(template, &mut value)?;
    let mut event_at = None;
    if let Some(path) = timestamp {
        event_at = around(Envelope::TIMESTAMP, path, value(time_slot, path), event_time, &mut misfits);
    }
    let mut called = None;
    if let Some(path) = message_id {
        called = around(Envelope::MESSAGE_ID, path, value(message_slot, path), message, &mut misfits);
    }
    match misfits.is_empty() {
        true => Ok(Reading::Update(Update { patch, event_at, message_id: called })),
        false => Err(Unfit::Fields(misfits)),
    }
}

/// What is said about the org, as far as it fits.
fn fields(
    template: &PayloadTemplate,
    mut value: impl FnMut(usize, &Path) -> Option<Value>,
) -> Result<(OrgPatch, Vec<Misfit>), Unfit> {
    let id_path = &template.product_org_id;
    let product_org_id = id(id_path, value(0, id_path))
        .map_err(|words| Unfit::Fields(vec![Misfit::new(PayloadTemplate::ID, id_path, words)]))?;
    let mut patch = OrgPatch { product_org_id, ..OrgPatch::default() };
    let mut misfits = Vec::new();
    let mut slot = 0;
    for (field, path) in &template.fields {
        slot += 1;
        if let Err(problem) = set(&mut patch, *field, value(slot, path)) {
            misfits.push(Misfit::at(field.as_str(), path, &problem));
        }
    }
    for (name, path) in &template.custom {
        slot += 1;
        let field = read(value(slot, path), Ok::<_, String>).unwrap_or_default();
        patch.custom.insert(name.clone(), field);
    }
    Ok((patch, misfits))
}

/// Something of the envelope; nothing, null and an empty text are the same there.
fn around<T>(
    name: &str,
    path: &Path,
    value: Option<Value>,
    convert: fn(Value) -> Result<T, String>,
    misfits: &mut Vec<Misfit>,
) -> Option<T> {
    match read(filled(value), convert) {
        Ok(Patch::Set(value)) => Some(value),
        Ok(Patch::Keep | Patch::Clear) => None,
        Err(problem) => {
            misfits.push(Misfit::at(name, path, &problem));
            None
        }
    }
}

/// As stores keep times. Numbers are refused: whether they count seconds or milliseconds they do not say.
fn event_time(value: Value) -> Result<DateTime<Utc>, String> {
    match value {
        Value::String(_) => time(value).map(|time| time.trunc_subsecs(6)),
        other => Err(must("be an RFC 3339 time such as 2026-01-15T10:30:00Z", &other)),
    }
}

fn message(value: Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) if !number.is_f64() => number.to_string(),
        other => return Err(must("be a string or an integer", &other)),
    };
    match is_message_id(&text) {
        true => Ok(text),
        false => Err(format!("must have 1–{MAX_MESSAGE_ID} characters, none of them a control character")),
    }
}

/// Never trimmed or normalised: two spellings are two orgs.
fn id(path: &Path, value: Option<Value>) -> Result<String, String> {
    let id = match value {
        None | Some(Value::Null) => {
            return Err(format!(
                "missing productOrgId: the payload has nothing at `{path}`, where the key's payload template looks for it \
                 (paths are case-sensitive)"
            ));
        }
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => number.to_string(),
        Some(other) => {
            return Err(format!("productOrgId at `{path}` must be a string or an integer, not {}", kind(&other)));
        }
    };
    match id.is_empty() || id.len() > MAX_ID || id.chars().any(char::is_control) {
        true => Err(format!("productOrgId at `{path}` must have 1–{MAX_ID} bytes and no control characters")),
        false => Ok(id),
    }
}

fn set(patch: &mut OrgPatch, field: Field, value: Option<Value>) -> Result<(), String> {
    match field {
        Field::Name => patch.name = read(value, text)?,
        Field::PlanId => patch.plan_id = read(value, text)?,
        Field::PlanName => patch.plan_name = read(value, text)?,
        Field::UserCount => patch.user_count = read(value, count)?,
        Field::Mrr => patch.mrr = read(value, integer)?,
        Field::TrialStatus => patch.trial_status = read(filled(value), trial_status)?,
        Field::LastActiveAt => patch.last_active_at = read(filled(value), time)?,
        Field::FeatureFlags => patch.feature_flags = read(value, object)?,
    }
    Ok(())
}

fn read<T, E>(value: Option<Value>, convert: impl FnOnce(Value) -> Result<T, E>) -> Result<Patch<T>, E> {
    match value {
        None => Ok(Patch::Keep),
        Some(Value::Null) => Ok(Patch::Clear),
        Some(value) => convert(value).map(Patch::Set),
    }
}

/// Liquid makes `""` of a NULL inside quotes, as in the guide's own body for Hightouch. No status and no time is empty, so
/// nothing else can be meant; the other text fields may be empty.
fn filled(value: Option<Value>) -> Option<Value> {
    match value {
        Some(Value::String(text)) if text.is_empty() => Some(Value::Null),
        other => other,
    }
}

fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(must("be a string", &other)),
    }
}

fn integer(value: Value) -> Result<i64, String> {
    // 9900.0 is an integer to JSON, and some senders write every number so. Beyond 2⁵³ a float is no longer exact.
    let whole =
        |number: f64| (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64);
    match value {
        Value::Number(number) if number.is_u64() && number.as_i64().is_none() => {
            Err("must fit in 64 bits with its sign".to_owned())
        }
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().and_then(whole))
            .ok_or_else(|| "must be an integer, not a fraction".to_owned()),
        other => Err(must("be an integer", &other)),
    }
}

fn count(value: Value) -> Result<i64, String> {
    match integer(value)? {
        negative if negative < 0 => Err("must not be negative".to_owned()),
        count => Ok(count),
    }
}

fn trial_status(value: Value) -> Result<TrialStatus, String> {
    text(value).and_then(|text| {
        TrialStatus::parse(&text).ok_or_else(|| "must be one of active, expired, converted (case-sensitive)".to_owned())
    })
}

fn time(value: Value) -> Result<DateTime<Utc>, String> {
    text(value).and_then(|text| {
        DateTime::parse_from_rfc3339(&text)
            .map(|time| time.to_utc())
            .map_err(|_| "must be an RFC 3339 time such as 2026-01-15T10:30:00Z".to_owned())
    })
}

fn object(value: Value) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(object) => Ok(object),
        other => Err(must("be an object", &other)),
    }
}

fn must(be: &str, found: &Value) -> String {
    format!("must {be}, not {}", kind(found))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a fraction",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template() -> PayloadTemplate {
        PayloadTemplate::from_toml_text(
            "product_org_id = \"id\"\nname = \"t.name\"\nplan_id = \"t.plan\"\nuser_count = \"t.users\"\nmrr = \"t.mrr\"\n\
             trial_status = \"t.trial\"\nlast_active_at = \"t.seen\"\nfeature_flags = \"t.flags\"\n[custom]\nprojects = \"m.projects\"",
        )
        .expect("valid")
    }

    fn run(payload: &Value) -> Result<OrgPatch, String> {
        Ok(read_by(&template(), payload)?.update().expect("no condition").patch)
    }

    fn read_by(template: &PayloadTemplate, payload: &Value) -> Result<Reading, String> {
        extract(template, payload.as_object().expect("an object"))
    }

    fn event(payload: &Value) -> Result<Option<Update>, String> {
        let toml = "product_org_id = \"id\"\nmrr = \"mrr\"\ntimestamp = \"e.at\"\nmessage_id = \"e.id\"\nonly_if = 'e.type == \"group\"'";
        read_by(&PayloadTemplate::from_toml_text(toml).expect("valid"), payload).map(Reading::update)
    }

    #[track_caller]
    fn check_refused(payload: Value, parts: &[&str]) {
        let error = run(&payload).expect_err("refused");
        for part in parts {
            assert!(error.contains(part), "{payload}: {error}");
        }
    }

    #[track_caller]
    fn check_id(id: Value, expected: &str) {
        assert_eq!(run(&json!({"id": id})).map(|patch| patch.product_org_id).as_deref(), Ok(expected));
    }

    #[test]
    fn every_field_is_taken() {
        let patch = run(&json!({
            "id": "ws_1",
            "t": {"name": "", "plan": "pro", "users": 10.0, "mrr": -5, "trial": "converted",
                  "seen": "2026-01-15T12:30:00+02:00", "flags": {"sso": true}},
            "m": {"projects": [1, 2]},
        }))
        .expect("valid");
        assert_eq!(patch.name, Patch::Set(String::new()));
        assert_eq!(patch.plan_id, Patch::Set("pro".into()));
        assert_eq!(patch.plan_name, Patch::Keep);
        assert_eq!(patch.user_count, Patch::Set(10));
        assert_eq!(patch.mrr, Patch::Set(-5));
        assert_eq!(patch.trial_status, Patch::Set(TrialStatus::Converted));
        assert_eq!(patch.last_active_at, Patch::Set("2026-01-15T10:30:00Z".parse().expect("a time")));
        assert_eq!(patch.feature_flags, Patch::Set([("sso".to_owned(), json!(true))].into_iter().collect()));
        assert_eq!(patch.custom["projects"], Patch::Set(json!([1, 2])));
    }

    #[test]
    fn absent_keeps_and_null_clears() {
        let patch =
            run(&json!({"id": "a", "t": {"name": null, "seen": null}, "m": {"projects": null}})).expect("valid");
        assert_eq!((patch.name, patch.plan_id), (Patch::Clear, Patch::Keep));
        assert_eq!((patch.last_active_at, patch.mrr), (Patch::Clear, Patch::Keep));
        assert_eq!(patch.custom["projects"], Patch::Clear);
        let patch = run(&json!({"id": "a", "t": {"name": "", "trial": "", "seen": ""}})).expect("valid");
        assert_eq!((patch.name, patch.trial_status), (Patch::Set(String::new()), Patch::Clear));
        assert_eq!(patch.last_active_at, Patch::Clear);
        // What is no object has no fields: nothing is said about them.
        let patch = run(&json!({"id": "a", "t": "text", "m": null})).expect("valid");
        assert_eq!((patch.name, &patch.custom["projects"]), (Patch::Keep, &Patch::Keep));
    }

    #[test]
    fn ids_are_taken_as_they_are() {
        check_id(json!(" Ws_1 "), " Ws_1 ");
        check_id(json!(42), "42");
        check_id(json!(-1), "-1");
        check_id(json!(u64::MAX), "18446744073709551615");
        check_id(json!("é".repeat(127)), &"é".repeat(127));
    }

    #[test]
    fn bad_ids_are_refused() {
        check_refused(json!({}), &["missing productOrgId", "`id`"]);
        check_refused(json!({"id": null}), &["missing productOrgId"]);
        check_refused(json!({"ID": "a"}), &["missing productOrgId"]);
        check_refused(json!({"id": ""}), &["1–255 bytes"]);
        check_refused(json!({"id": "a\nb"}), &["control"]);
        check_refused(json!({"id": "é".repeat(128)}), &["1–255 bytes"]);
        check_refused(json!({"id": 1.5}), &["productOrgId", "a fraction"]);
        check_refused(json!({"id": 10.0}), &["a fraction"]);
        check_refused(json!({"id": true}), &["a boolean"]);
        check_refused(json!({"id": ["a"]}), &["an array"]);
    }

    #[test]
    fn wrong_kinds_name_path_and_kind() {
        check_refused(json!({"id": "a", "t": {"name": 5}}), &["name at `t.name` must be a string, not an integer"]);
        check_refused(json!({"id": "a", "t": {"plan": 7}}), &["plan_id at `t.plan` must be a string"]);
        check_refused(json!({"id": "a", "t": {"users": "10"}}), &["`t.users` must be an integer, not a string"]);
        check_refused(json!({"id": "a", "t": {"users": -1}}), &["`t.users` must not be negative"]);
        check_refused(json!({"id": "a", "t": {"mrr": 99.5}}), &["`t.mrr` must be an integer, not a fraction"]);
        check_refused(json!({"id": "a", "t": {"mrr": u64::MAX}}), &["`t.mrr` must fit in 64 bits"]);
        check_refused(json!({"id": "a", "t": {"mrr": 1e17}}), &["`t.mrr` must be an integer"]);
        check_refused(json!({"id": "a", "t": {"trial": "Active"}}), &["`t.trial` must be one of active"]);
        check_refused(json!({"id": "a", "t": {"seen": "yesterday"}}), &["`t.seen` must be an RFC 3339 time"]);
        check_refused(json!({"id": "a", "t": {"flags": [1]}}), &["`t.flags` must be an object, not an array"]);
        check_refused(json!({"id": "a", "t": {"name": 5, "mrr": "x"}}), &["`t.name`", "; ", "`t.mrr`"]);
    }

    #[test]
    fn time_and_name_of_an_event_are_taken() {
        let update = |envelope: Value| event(&json!({"id": "a", "e": envelope})).expect("fits").expect("an update");
        let at = |text: &str| Some(text.parse::<DateTime<Utc>>().expect("a time"));
        let update_at = |time: &str| update(json!({"at": time})).event_at;
        assert_eq!(update_at("2026-01-15T12:30:00.1234567+02:00"), at("2026-01-15T10:30:00.123456Z"));
        for nothing in [json!({}), json!({"at": null, "id": null, "type": null}), json!({"at": "", "id": ""})] {
            let update = update(nothing);
            assert_eq!((update.event_at, update.message_id), (None, None));
        }
        assert_eq!(update(json!({"id": "seg-msg-1 é"})).message_id.as_deref(), Some("seg-msg-1 é"));
        assert_eq!(update(json!({"id": 17})).message_id.as_deref(), Some("17"));
        let longest = "é".repeat(MAX_MESSAGE_ID);
        assert_eq!(update(json!({"id": longest})).message_id, Some(longest));
        assert_eq!(update(json!("no object")).event_at, None);
    }

    #[test]
    fn an_event_that_does_not_fit_names_path_and_kind() {
        let refused = |payload: Value| event(&payload).expect_err("refused");
        let time = "must be an RFC 3339 time such as 2026-01-15T10:30:00Z";
        for (at, expected) in [
            (json!("yesterday"), format!("timestamp at `e.at` {time}")),
            (json!(1768473000), format!("timestamp at `e.at` {time}, not an integer")),
            (json!({}), format!("timestamp at `e.at` {time}, not an object")),
        ] {
            assert_eq!(refused(json!({"id": "a", "e": {"at": at}})), expected);
        }
        for id in [json!("a\nb"), json!("x".repeat(MAX_MESSAGE_ID + 1))] {
            assert!(refused(json!({"id": "a", "e": {"id": id}})).starts_with("message_id at `e.id` must have 1–255"));
        }
        assert_eq!(
            refused(json!({"id": "a", "mrr": "x", "e": {"id": [], "at": true}})),
            format!(
                "mrr at `mrr` must be an integer, not a string; timestamp at `e.at` {time}, not a boolean; \
                 message_id at `e.id` must be a string or an integer, not an array"
            )
        );
    }

    #[test]
    fn what_says_nothing_about_an_org_is_ignored() {
        let is_ignored = |kind: Value| event(&json!({"id": "a", "e": {"type": kind}})).expect("fits").is_none();
        for kind in [json!("track"), json!("Group"), json!(""), json!(1), json!({"type": "group"})] {
            assert!(is_ignored(kind.clone()), "{kind}");
        }
        assert!(!is_ignored(json!("group")) && !is_ignored(json!(null)), "nothing there is no reason to lose it");
        // Nothing else of it is looked at.
        assert_eq!(event(&json!({"e": {"type": "page", "at": 5}})), Ok(None));
    }
}
