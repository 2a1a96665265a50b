use super::super::parse;
use crate::job::problem::Problem;
use crate::job::spec::Job;
use crate::mapping::{MAX_FIELDS, PayloadTemplate};
use std::path::Path;

fn job(conforms_to: &str) -> Result<Job, Vec<Problem>> {
    let text = format!(
        "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\n[destination]\nkind = \"http\"\n\
         url = \"https://h.example/${{KEY}}\"\n[payload]\npreset = \"flat\"\n{conforms_to}\n"
    );
    parse(&text, Path::new("jobs/x.toml"), Path::new("/home/nm"))
}

fn template(conforms_to: &str) -> Option<PayloadTemplate> {
    job(conforms_to).unwrap_or_else(|problems| panic!("{problems:#?}")).conforms_to
}

#[track_caller]
fn check_problems(conforms_to: &str, expected: &[(&str, &str)]) {
    let problems = job(conforms_to).expect_err(conforms_to);
    let found: Vec<(&str, &str)> = problems.iter().map(|p| (p.path.as_str(), p.message.as_str())).collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for ((path, message), (at, part)) in found.iter().zip(expected) {
        assert!(path == at && message.contains(part), "{found:?}");
    }
}

#[test]
fn presets_are_the_mapping_tables_of_the_guide() {
    assert_eq!(template(""), None);
    for (name, preset) in [("segment", "segment"), ("rudderstack", "rudderstack"), ("hightouch", "flat")] {
        let written = template(&format!("[payload.conforms_to]\npreset = \"{name}\""));
        assert_eq!(written, PayloadTemplate::preset(preset), "{name}");
    }
    let inline = template("conforms_to = { preset = \"segment\", product_org_id = \"id\", name = \"traits.title\" }")
        .expect("one");
    let paths: Vec<(&str, String)> = inline.paths().map(|(field, path)| (field, path.to_string())).take(3).collect();
    assert_eq!(
        paths,
        [("product_org_id", "id".into()), ("name", "traits.title".into()), ("plan_id", "traits.plan".into())]
    );
}

#[test]
fn it_reads_as_the_template_file_of_a_key() {
    let toml = "product_org_id = \"groupId\"\nname = \"traits.name\"\nplan_id = \"p\"\nplan_name = \"n\"\nuser_count = \"u\"\n\
                mrr = \"m\"\ntrial_status = \"t\"\nlast_active_at = \"l\"\nfeature_flags = \"f\"\ntimestamp = \"e\"\nmessage_id = \"i\"\n\
                only_if = 'k == \"v\"'\n";
    let custom = "projects_count = \"metrics.total_projects\"\n";
    let written = template(&format!("[payload.conforms_to]\n{toml}[payload.conforms_to.custom]\n{custom}"));
    assert_eq!(written, PayloadTemplate::from_toml_text(&format!("{toml}[custom]\n{custom}")).ok());
}

#[test]
fn what_stands_around_takes_the_place_of_the_presets() {
    let written =
        template("conforms_to = { preset = \"rudderstack\", timestamp = \"sentAt\", only_if = 'event == \"org\"' }");
    let envelope = written.expect("one").envelope;
    let paths: Vec<String> = envelope.paths().map(|(_, path)| path.to_string()).collect();
    assert_eq!(paths, ["sentAt", "messageId", "event"]);
    check_problems(
        "[payload.conforms_to]\npreset = \"segment\"\ntimestamp = \"a..b\"\nonly_if = \"type\"",
        &[("payload.conforms_to.timestamp", "empty segment"), ("payload.conforms_to.only_if", "not of the form")],
    );
}

#[test]
fn every_mistake_is_told_at_its_place() {
    check_problems("[payload.conforms_to]\nname = \"a\"", &[("payload.conforms_to", "`product_org_id` is missing")]);
    check_problems(
        "[payload.conforms_to]\npreset = \"segmnt\"\nproduct_org_id = \"\"\nmrr = 5",
        &[
            ("payload.conforms_to.preset", "segment"),
            ("payload.conforms_to.product_org_id", "must not be empty"),
            ("payload.conforms_to.mrr", "expected a string"),
        ],
    );
    let deep = vec!["a"; 17].join(".");
    check_problems(
        &format!(
            "[payload.conforms_to]\nproduct_org_id = \"a.\"\nplan_id = \"{deep}\"\n[payload.conforms_to.custom]\n\"\" = \"x\""
        ),
        &[
            ("payload.conforms_to.product_org_id", "empty segment"),
            ("payload.conforms_to.plan_id", "17 segments"),
            ("payload.conforms_to.custom.\"\"", "1–255 bytes"),
        ],
    );
    let many: Vec<String> = (0..MAX_FIELDS).map(|i| format!("c{i} = \"c{i}\"")).collect();
    let many =
        format!("[payload.conforms_to]\nproduct_org_id = \"id\"\n[payload.conforms_to.custom]\n{}", many.join("\n"));
    check_problems(&many, &[("payload.conforms_to", "65 fields")]);
}
