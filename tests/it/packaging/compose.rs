//! docker/compose: what Compose makes of it, and that its parts fit each other.

use super::{HOME, STOPS_WITHIN, is_a_variable, read, secret_files, settings, source, tool, yaml};
use serde_json::Value;

const FILE: &str = "docker/compose/compose.yml";

fn services() -> Value {
    yaml(FILE).remove(0)
}

/// Where a path of this machine is in a container.
fn mounts(service: &Value) -> Vec<(String, String)> {
    let volumes = service["volumes"].as_array().unwrap().iter();
    let split = volumes.map(|volume| volume.as_str().unwrap().split(':').map(str::to_owned).collect::<Vec<_>>());
    split.map(|parts| (parts[0].clone(), parts[1].clone())).collect()
}

#[test]
fn compose_understands_it() {
    let dir = tempfile::tempdir().unwrap();
    let ran = tool(
        "docker-compose",
        &["--file", source(FILE).to_str().unwrap(), "--project-directory", dir.path().to_str().unwrap(), "config"],
    )
    .expect(0);
    for service in ["nightmark:", "postgres:", "prometheus:", "grafana:"] {
        assert!(ran.stdout.contains(service), "{}", ran.stdout);
    }
    assert_eq!(ran.stderr, "");
}

#[test]
fn every_file_is_there_and_secrets_are_not() {
    let all = services();
    let mut files = 0;
    for (name, service) in all["services"].as_object().unwrap() {
        for (from, _) in mounts(service).iter().filter(|(from, _)| from.starts_with('.')) {
            assert!(source("docker/compose").join(from).exists(), "{name}: {from}");
            files += 1;
        }
        for secret in service["secrets"].as_array().unwrap_or(&Vec::new()) {
            assert!(all["secrets"][secret.as_str().unwrap()]["file"].is_string(), "{name}: {secret}");
        }
        let tag = service["image"].as_str().unwrap().split_once(':').map(|(_, tag)| tag.to_owned());
        assert!(tag.is_some_and(|tag| tag != "latest"), "{name}: one version, not any");
    }
    assert!(files >= 6);
    for secret in all["secrets"].as_object().unwrap().values() {
        let file = secret["file"].as_str().unwrap();
        assert!(file.starts_with("./secrets/") && !source("docker/compose").join(file).exists(), "{file}");
    }
    assert!(read("docker/compose/.gitignore").contains("/secrets/"));
    // Everything is for this machine alone until somebody decides otherwise.
    for service in all["services"].as_object().unwrap().values() {
        for port in service["ports"].as_array().unwrap_or(&Vec::new()) {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{port}");
        }
    }
}

#[test]
fn nightmark_finds_its_settings_its_secret_and_its_database() {
    let all = services();
    let service = &all["services"]["nightmark"];
    for (name, _) in service["environment"].as_object().unwrap() {
        is_a_variable(name);
    }
    assert_eq!(service["read_only"], true);
    let stop = service["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse::<u64>().unwrap();
    assert!(stop > STOPS_WITHIN);
    let mounts = mounts(service);
    for (from, to) in [("home", ""), ("./nightmark.toml", "/nightmark.toml"), ("./jobs", "/jobs")] {
        assert!(mounts.contains(&(from.to_owned(), format!("{HOME}{to}"))), "{from}");
    }
    let settings = settings("docker/compose/nightmark.toml");
    let url = &settings.store.url.written;
    for file in secret_files(&read("docker/compose/nightmark.toml")) {
        let name = file.strip_prefix("/run/secrets/").unwrap();
        assert!(service["secrets"].as_array().unwrap().iter().any(|secret| secret == name), "{name}");
    }
    // postgres://USER:…@SERVICE:5432/DATABASE
    let database = &all["services"]["postgres"];
    let (user, name) = (&database["environment"]["POSTGRES_USER"], &database["environment"]["POSTGRES_DB"]);
    assert!(url.starts_with(&format!("postgres://{}:", user.as_str().unwrap())), "{url}");
    assert!(url.contains(&format!("@postgres:5432/{}?", name.as_str().unwrap())), "{url}");
    let file = database["environment"]["POSTGRES_PASSWORD_FILE"].as_str().unwrap();
    assert_eq!(secret_files(url), [file]);
}

#[test]
fn the_numbers_reach_the_dashboard() {
    let all = services();
    let (prometheus, grafana) = (&all["services"]["prometheus"], &all["services"]["grafana"]);
    // Prometheus asks 127.0.0.1:8081, which is Nightmark's only in Nightmark's network.
    assert_eq!(prometheus["network_mode"], "service:nightmark");
    let scraped =
        &yaml("docker/prometheus/prometheus.yml").remove(0)["scrape_configs"][0]["static_configs"][0]["targets"][0];
    assert_eq!(*scraped, settings("docker/compose/nightmark.toml").admin.address.to_string());
    let config = prometheus["command"][0].as_str().unwrap().strip_prefix("--config.file=").unwrap();
    assert!(config.starts_with(&mounts(prometheus)[0].1) && source("docker/prometheus/prometheus.yml").exists());
    // Grafana asks Prometheus where Nightmark is, and finds the dashboard.
    let sources = yaml("docker/compose/grafana/datasources.yml").remove(0);
    assert_eq!(sources["datasources"][0]["url"], "http://nightmark:9090");
    assert_eq!(sources["datasources"][0]["type"], "prometheus");
    let dashboards = yaml("docker/compose/grafana/dashboards.yml").remove(0);
    let folder = dashboards["providers"][0]["options"]["path"].as_str().unwrap();
    let mounts = mounts(grafana);
    assert!(mounts.contains(&("../grafana".to_owned(), folder.to_owned())), "{mounts:?}");
    let first = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str().unwrap();
    assert_eq!(first, format!("{folder}/nightmark.json"));
    assert!(source("docker/grafana/nightmark.json").exists());
    for kind in ["datasources", "dashboards"] {
        let to = format!("/etc/grafana/provisioning/{kind}/nightmark.yml");
        assert!(mounts.contains(&(format!("./grafana/{kind}.yml"), to)), "{mounts:?}");
    }
}
