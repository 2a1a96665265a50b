//! docker/kubernetes: the API's own schemas, and that its parts fit each other and the image.

use super::dockerfile::{exec, one, stages};
use super::{
    HOME, PROGRAM, STOPS_WITHIN, is_a_command, is_a_variable, python_tool, read, secret_files, settings, source, tool,
    words, yaml,
};
use crate::support::{Home, Served};
use nightmark::config::Settings;
use serde_json::Value;

const FOLDER: &str = "docker/kubernetes";
/// The oldest and the newest version that are looked at.
const VERSIONS: [&str; 2] = ["1.27", "1.37"];

fn object(file: &str) -> Value {
    yaml(&format!("{FOLDER}/{file}.yaml")).remove(0)
}

fn container() -> Value {
    object("statefulset")["spec"]["template"]["spec"]["containers"][0].clone()
}

#[test]
fn the_manifests_are_of_the_apis_schemas() {
    let rendered = tool("kubectl", &["kustomize", source(FOLDER).to_str().unwrap()]).expect(0).stdout;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.yaml");
    std::fs::write(&file, &rendered).unwrap();
    for version in VERSIONS {
        let ran = python_tool("kubernetes-validate", &["--strict", "-k", version, file.to_str().unwrap()]).expect(0);
        let passed = format!("{}{}", ran.stdout, ran.stderr).matches("passed for resource").count();
        assert_eq!(passed, rendered.split("\n---\n").count(), "{} {}", ran.stdout, ran.stderr);
    }
    // Each file is taken along, and what is generated is what is mounted.
    let listed = &object("kustomization")["resources"];
    for entry in std::fs::read_dir(source(FOLDER)).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".yaml") && name != "kustomization.yaml" {
            assert!(words(listed).contains(&name), "{name}");
        }
    }
    for generated in ["nightmark-settings-", "nightmark-jobs-"] {
        assert!(rendered.matches(generated).count() >= 2, "{generated}: {rendered}");
    }
}

/// The lines that a site may take in fit those that are there: the API's schemas, the names of ports, and settings with which it starts.
#[test]
fn what_is_commented_out_fits_once_it_is_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let taken_in = |file: &str| {
        let text = read(&format!("{FOLDER}/{file}"));
        assert!(text.contains("#: "), "{file}");
        let taken = text.replace("#: ", "");
        std::fs::write(dir.path().join(file), &taken).unwrap();
        taken
    };
    let of = |file: &str| -> Value {
        taken_in(file);
        let path = dir.path().join(file);
        for version in VERSIONS {
            python_tool("kubernetes-validate", &["--strict", "-k", version, path.to_str().unwrap()]).expect(0);
        }
        yaml(path.to_str().unwrap()).remove(0)
    };
    let (policy, set) = (of("networkpolicy.yaml"), of("statefulset.yaml"));
    let ports = &set["spec"]["template"]["spec"]["containers"][0]["ports"];
    assert_eq!(policy["spec"]["ingress"][1]["ports"][0]["port"], ports[1]["name"]);
    let opened = policy["spec"]["egress"].as_array().unwrap().iter().flat_map(|rule| rule["ports"].as_array().unwrap());
    let opened: Vec<u64> = opened.map(|port| port["port"].as_u64().unwrap()).collect();
    for (port, what) in [(587, "STARTTLS"), (465, "TLS"), (25, "a relay"), (3306, "MySQL"), (22, "SFTP")] {
        assert!(opened.contains(&port), "{what}: {opened:?}");
    }
    // The settings: on the port that is opened, and, with a token, in a way that the daemon starts with.
    let home = Home::new();
    home.write("nightmark.toml", &taken_in("nightmark.toml").replace("\nurl = \"postgres", "\n# url = \"postgres"));
    let settings = Settings::load(&nightmark::config::Home::new(&home.path("")).unwrap())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(u64::from(settings.admin.address.port()), ports[1]["containerPort"].as_u64().unwrap());
    home.run(&["tokens", "create", "--name", "Prometheus", "--role", "viewer"]).expect(0);
    let found = home.run(&["doctor", "--json"]).json();
    let access =
        found["findings"].as_array().unwrap().iter().find(|finding| finding["subject"] == "admin.access").unwrap();
    assert_eq!(access["verdict"], "ok", "{access}");
}

/// Probes ask what answers: tried on a daemon.
#[test]
fn probes_point_at_endpoints_that_exist() {
    let container = container();
    let args = [vec![PROGRAM.to_owned()], words(&container["args"])].concat();
    is_a_command(&args);
    let port = &container["ports"][0];
    assert!(args.last().unwrap().ends_with(&format!(":{}", port["containerPort"])), "{args:?}");
    let home = Home::new();
    let served = Served::start(&home);
    for probe in ["startupProbe", "livenessProbe"] {
        let get = &container[probe]["httpGet"];
        assert_eq!(get["port"], port["name"], "{probe}");
        let url = format!("http://{}{}", served.receiver, get["path"].as_str().unwrap());
        assert!(tool("curl", &["-sSf", &url]).expect(0).stdout.contains("ok"));
    }
    let ready = words(&container["readinessProbe"]["exec"]["command"]);
    assert_eq!(ready, exec(one(stages().last().unwrap(), "HEALTHCHECK").split("CMD").nth(1).unwrap()));
    is_a_command(&ready);
    assert_eq!(served.stop(), 0);
}

#[test]
fn the_pod_may_do_no_more_than_the_image_needs() {
    let pod = object("statefulset")["spec"]["template"]["spec"].clone();
    let user = one(stages().last().unwrap(), "USER").split(':').next().unwrap().parse::<u64>().unwrap();
    let context = &pod["securityContext"];
    assert!(context["runAsNonRoot"] == true && context["seccompProfile"]["type"] == "RuntimeDefault");
    assert!(context["runAsUser"] == user && context["runAsGroup"] == user && context["fsGroup"] == user);
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert!(pod["terminationGracePeriodSeconds"].as_u64().unwrap() > STOPS_WITHIN);
    let container = container();
    let context = &container["securityContext"];
    assert!(context["readOnlyRootFilesystem"] == true && context["allowPrivilegeEscalation"] == false);
    assert_eq!(context["capabilities"]["drop"][0], "ALL");
    for variable in container["env"].as_array().unwrap() {
        is_a_variable(variable["name"].as_str().unwrap());
    }
    // With a read-only root, what it writes to is mounted.
    let mounts = container["volumeMounts"].as_array().unwrap();
    let at = |path: &str| mounts.iter().find(|mount| mount["mountPath"] == path).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(at(HOME)["name"], object("statefulset")["spec"]["volumeClaimTemplates"][0]["metadata"]["name"]);
    assert!(at("/tmp")["readOnly"].is_null());
    for (path, name) in [(format!("{HOME}/nightmark.toml"), "settings"), (format!("{HOME}/jobs"), "jobs")] {
        assert_eq!(at(&path)["name"], name);
    }
    let names: Vec<&Value> = pod["volumes"].as_array().unwrap().iter().map(|volume| &volume["name"]).collect();
    for mount in mounts.iter().filter(|mount| mount["name"] != "home") {
        assert!(names.contains(&&mount["name"]), "{mount}");
    }
}

/// Services, policies and budgets are about this pod; secrets are references into the mounted Secret.
#[test]
fn everything_is_about_the_pod_and_no_secret_is_written_out() {
    let labels = &object("statefulset")["spec"]["template"]["metadata"]["labels"];
    for selector in [
        &object("statefulset")["spec"]["selector"]["matchLabels"],
        &object("service")["spec"]["selector"],
        &object("networkpolicy")["spec"]["podSelector"]["matchLabels"],
        &object("poddisruptionbudget")["spec"]["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    let port = &container()["ports"][0];
    assert_eq!(object("service")["spec"]["ports"][0]["targetPort"], port["name"]);
    assert_eq!(object("networkpolicy")["spec"]["ingress"][0]["ports"][0]["port"], port["name"]);
    settings(&format!("{FOLDER}/nightmark.toml"));
    let home = Home::new();
    home.write("jobs/orgs.toml", &read(&format!("{FOLDER}/jobs/orgs.toml")));
    nightmark::job::load::load_job(&nightmark::config::Home::new(&home.path("")).unwrap(), "orgs").unwrap();
    let mounted = container()["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .find(|mount| mount["name"] == "secrets")
        .unwrap()["mountPath"]
        .clone();
    let texts = read(&format!("{FOLDER}/nightmark.toml")) + &read(&format!("{FOLDER}/jobs/orgs.toml"));
    let files = secret_files(&texts);
    assert_eq!(files.len(), 3);
    let page = read("docs/INSTALL.md");
    for file in files {
        let name = file.strip_prefix(&format!("{}/", mounted.as_str().unwrap())).unwrap_or_else(|| panic!("{file}"));
        assert!(page.contains(&format!("--from-file={name}=")), "docs/INSTALL.md does not say how {name} gets there");
    }
    // A single pod must be able to leave its node.
    assert_eq!(object("poddisruptionbudget")["spec"]["maxUnavailable"], 1);
}
