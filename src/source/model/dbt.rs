//! A dbt project's compiled models, from `target/manifest.json` (dbt's manifest schema v4 and later: `nodes`, each with `resource_type`,
//! `package_name`, `name` and, once compiled, `compiled_code`; v4 to v6 call it `compiled_sql`).

use crate::source::SourceError;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Manifest {
    nodes: BTreeMap<String, Node>,
}

#[derive(Deserialize)]
struct Node {
    resource_type: String,
    package_name: String,
    name: String,
    #[serde(alias = "compiled_sql")]
    compiled_code: Option<String>,
}

/// The SQL of a model. `written`: the project's folder as the job has it. `model`: `NAME` or `PACKAGE.NAME`.
pub(super) fn compiled(written: &str, project: &Path, model: &str) -> Result<String, SourceError> {
    let path = project.join("target").join("manifest.json");
    let compile =
        format!("`dbt compile --select {}` in {written} writes it", model.rsplit('.').next().unwrap_or(model));
    if !project.is_dir() {
        return Err(SourceError::new(format!("source.dbt.project: there is no folder {}", project.display()))
            .hint("relative paths start at the home folder (--home)"));
    }
    let text = std::fs::read(&path).map_err(|error| {
        SourceError::new(format!("source.dbt: {} cannot be read: {error}", path.display())).hint(compile.clone())
    })?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|error| {
        SourceError::new(format!("source.dbt: {} is not a manifest of dbt: {error}", path.display()))
            .hint(compile.clone())
    })?;
    find(&manifest, model, &compile)
        .map_err(|error| SourceError { message: format!("source.dbt: {}", error.message), ..error })
}

fn find(manifest: &Manifest, model: &str, compile: &str) -> Result<String, SourceError> {
    let models = || manifest.nodes.values().filter(|node| node.resource_type == "model");
    let full = |node: &Node| format!("{}.{}", node.package_name, node.name);
    let found: Vec<&Node> = models().filter(|node| node.name == model || full(node) == model).collect();
    match found.as_slice() {
        [node] => match node.compiled_code.as_deref().filter(|code| !code.trim().is_empty()) {
            Some(code) => Ok(code.to_owned()),
            None => Err(SourceError::new(format!("model {} is not compiled", full(node))).hint(compile)),
        },
        [] => {
            let mut names: Vec<&str> = models().map(|node| node.name.as_str()).collect();
            names.sort_by_key(|name| (strsim::osa_distance(name, model), *name));
            names.truncate(5);
            let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            Err(SourceError::new(format!("there is no model `{model}`"))
                .hint(format!("models of this project: {known}")))
        }
        several => {
            let names: Vec<String> = several.iter().map(|node| full(node)).collect();
            Err(SourceError::new(format!("several packages have a model `{model}`"))
                .hint(format!("write one of {}", names.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn asked(model: &str) -> Result<String, SourceError> {
        let folder = tempfile::tempdir().unwrap();
        let node = |package: &str, name: &str, more: serde_json::Value| {
            let mut node = json!({ "resource_type": "model", "package_name": package, "name": name });
            node.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            node
        };
        let manifest = json!({ "metadata": {}, "nodes": {
            "model.shop.orgs": node("shop", "orgs", json!({ "compiled_code": "SELECT 1" })),
            "model.shop.old": node("shop", "old", json!({ "compiled_sql": "SELECT 2" })),
            "model.shop.raw": node("shop", "raw", json!({ "compiled_code": null })),
            "model.shop.twice": node("shop", "twice", json!({ "compiled_code": "SELECT 3" })),
            "model.crm.twice": node("crm", "twice", json!({ "compiled_code": "SELECT 4" })),
            "test.shop.orgs": { "resource_type": "test", "package_name": "shop", "name": "orgs", "compiled_code": "SELECT 5" },
        }});
        std::fs::create_dir(folder.path().join("target")).unwrap();
        std::fs::write(folder.path().join("target/manifest.json"), manifest.to_string()).unwrap();
        compiled("dbt", folder.path(), model)
    }

    #[test]
    fn a_compiled_model_is_its_sql() {
        for (model, sql) in
            [("orgs", "SELECT 1"), ("old", "SELECT 2"), ("shop.twice", "SELECT 3"), ("crm.twice", "SELECT 4")]
        {
            assert_eq!(asked(model).unwrap(), sql, "{model}");
        }
    }

    #[test]
    fn what_is_not_there_is_named_with_what_helps() {
        for (model, message, hint) in [
            ("ogrs", "no model `ogrs`", "orgs"),
            ("raw", "shop.raw is not compiled", "dbt compile --select raw"),
            ("twice", "several packages", "crm.twice, shop.twice"),
        ] {
            let error = asked(model).unwrap_err();
            assert!(error.message.contains(message), "{error:?}");
            assert!(error.hint.as_deref().is_some_and(|said| said.contains(hint)), "{error:?}");
        }
        let folder = tempfile::tempdir().unwrap();
        let error = compiled("dbt", folder.path(), "orgs").unwrap_err();
        assert!(error.message.contains("manifest.json cannot be read") && error.hint.is_some(), "{error:?}");
        let error = compiled("dbt", &folder.path().join("none"), "orgs").unwrap_err();
        assert!(error.message.contains("there is no folder") && error.hint.is_some(), "{error:?}");
    }
}
