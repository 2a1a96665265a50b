//! Payload templates, and bodies that are read by them.

use crate::mapping::{Mapping, PayloadTemplate, Reading, extract, is_message_id, parse_strict};
use serde_json::Value;

/// Templates for inputs that bring none: the presets, and one whose paths lead through each other's values.
const TEMPLATES: [&str; 2] = [
    r#"{"product_org_id": "id", "name": "a.b", "plan_id": "a.b", "plan_name": "a", "user_count": "n", "mrr": "m", "trial_status": "t",
        "last_active_at": "s", "feature_flags": "a", "custom": {"x": "a.b.c", "y": "id", "z": "a.b.c.d.e.f"},
        "timestamp": "s", "message_id": "a.b", "only_if": "t == \"active\""}"#,
    r#"{"product_org_id": "a.a.a", "custom": {"a": "a", "aa": "a.a", "aaaa": "a.a.a.a"}}"#,
];

/// Up to the first empty line stands which template: a number, or one of its own in JSON or TOML.
pub fn check(input: &[u8]) {
    let end = input.windows(2).position(|bytes| bytes == b"\n\n");
    let (head, body) = end.map_or((input, &[][..]), |end| (&input[..end], &input[end + 2..]));
    if let Some(template) = template(head) {
        check_body(&Mapping::new(template), body);
    }
}

fn template(head: &[u8]) -> Option<PayloadTemplate> {
    match head {
        [number @ b'0'..=b'9'] => {
            let presets = PayloadTemplate::presets().filter_map(PayloadTemplate::preset);
            let all: Vec<PayloadTemplate> =
                presets.chain(TEMPLATES.iter().filter_map(|text| PayloadTemplate::from_json_text(text).ok())).collect();
            all.get(usize::from(number - b'0') % all.len()).cloned()
        }
        text => check_template(text),
    }
}

/// A template that is read is written and read again as the same one, and reads its own example.
fn check_template(text: &[u8]) -> Option<PayloadTemplate> {
    let text = str::from_utf8(text).ok()?;
    let read = PayloadTemplate::from_json_text(text).or_else(|_| PayloadTemplate::from_toml_text(text));
    let template = match read {
        Ok(template) => template,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return None;
        }
    };
    assert_eq!(PayloadTemplate::from_json_text(&template.to_json_text()).as_ref(), Ok(&template));
    let Value::Object(example) = template.example() else { panic!("an example is an object") };
    // Paths through each other's values leave out of the example what no payload can have.
    if let Ok(Reading::Update(update)) = extract(&template, &example) {
        assert_eq!(update.patch.product_org_id, "test_ws_001");
    }
    Some(template)
}

/// Reading in one pass is the same as building it all, and as the check that keeps nothing.
fn check_body(mapping: &Mapping, body: &[u8]) {
    let read = mapping.read(body).map_err(|unfit| unfit.to_string());
    assert_eq!(read, by_parsing(mapping.template(), body), "in one pass, and by parsing");
    let checked = mapping.check(body).map(|seen| seen.is_some()).map_err(|unfit| unfit.to_string());
    assert_eq!(checked, read.clone().map(|reading| reading != Reading::Ignored), "checked, and read");
    if let Ok(Reading::Update(update)) = read {
        let id = &update.patch.product_org_id;
        assert!((1..=255).contains(&id.len()) && !id.chars().any(char::is_control), "{id:?}");
        assert!(update.message_id.is_none_or(|id| is_message_id(&id)));
    }
}

fn by_parsing(template: &PayloadTemplate, body: &[u8]) -> Result<Reading, String> {
    match parse_strict(body)? {
        Value::Object(payload) => extract(template, &payload),
        _ => Err("the body must be a JSON object".to_owned()),
    }
}
