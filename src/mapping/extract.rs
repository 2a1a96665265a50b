//! From values to an update of an org: the one place that decides what fits.

use super::{Field, Misfit, OrgPatch, Patch, Path, PayloadTemplate, TrialStatus, Unfit};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

/// Bytes of a product org id at most.
pub const MAX_ID: usize = 255;

/// Takes the fields out of a payload. A path at which nothing stands leaves the stored value alone, a null clears it.
///
/// # Errors
/// Text for the sender, with the paths and the kinds that are wrong, never their values: "missing productOrgId" if nothing
/// or null stands at the id's path, otherwise every field that does not fit.
pub fn extract(template: &PayloadTemplate, payload: &Map<String, Value>) -> Result<OrgPatch, String> {
    judge(template, |_, path| path.find(payload).cloned()).map_err(|unfit| unfit.to_string())
}

/// The same for values that were found already. `value`: what stands at a path, asked for once each, with the slot that
/// the path has: the id's is 0, then come the fields and the custom fields in the template's order.
pub(super) fn judge(
    template: &PayloadTemplate,
    mut value: impl FnMut(usize, &Path) -> Option<Value>,
) -> Result<OrgPatch, Unfit> {
    let id_path = &template.product_org_id;
    let misfit = |field: &str, path: &Path, words| Misfit { field: field.to_owned(), path: path.to_string(), words };
    let product_org_id = id(id_path, value(0, id_path))
        .map_err(|words| Unfit::Fields(vec![misfit(PayloadTemplate::ID, id_path, words)]))?;
    let mut patch = OrgPatch { product_org_id, ..OrgPatch::default() };
    let mut misfits = Vec::new();
    let mut slot = 0;
    for (field, path) in &template.fields {
        slot += 1;
        if let Err(problem) = set(&mut patch, *field, value(slot, path)) {
            let words = format!("{} at `{path}` {problem}", field.as_str());
            misfits.push(misfit(field.as_str(), path, words));
        }
    }
    for (name, path) in &template.custom {
        slot += 1;
        let field = read(value(slot, path), Ok::<_, String>).unwrap_or_default();
        patch.custom.insert(name.clone(), field);
    }
    match misfits.is_empty() {
        true => Ok(patch),
        false => Err(Unfit::Fields(misfits)),
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
        extract(&template(), payload.as_object().expect("an object"))
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
}
