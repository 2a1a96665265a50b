//! docker/Dockerfile, as its tests read it.

use super::{python_tool, read, source};

/// One instruction, its continued lines joined.
#[derive(Debug, Clone)]
pub struct Instruction {
    pub name: String,
    pub args: String,
}

/// The instructions of each stage.
pub fn stages() -> Vec<Vec<Instruction>> {
    let text = read("docker/Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let mut stages = Vec::new();
    for line in joined.lines().filter(|line| !line.trim().is_empty()) {
        let (name, args) = line.split_once(' ').unwrap();
        if name == "FROM" {
            stages.push(Vec::new());
        }
        let args = args.split_whitespace().collect::<Vec<_>>().join(" ");
        stages.last_mut().unwrap().push(Instruction { name: name.to_owned(), args });
    }
    stages
}

/// The arguments of all instructions of a name.
pub fn all<'a>(stage: &'a [Instruction], name: &str) -> Vec<&'a str> {
    stage.iter().filter(|instruction| instruction.name == name).map(|instruction| instruction.args.as_str()).collect()
}

/// Those of the one.
#[track_caller]
pub fn one<'a>(stage: &'a [Instruction], name: &str) -> &'a str {
    match all(stage, name).as_slice() {
        [args] => args,
        other => panic!("{name}: {other:?}"),
    }
}

/// `["a", "b"]`, without a shell.
#[track_caller]
pub fn exec(args: &str) -> Vec<String> {
    let list = &args[args.find('[').unwrap_or_else(|| panic!("a shell is needed for: {args}"))..];
    serde_json::from_str(list).unwrap_or_else(|error| panic!("{args}: {error}"))
}

#[test]
fn hadolint_finds_nothing() {
    let ran = python_tool("hadolint", &["--no-color", source("docker/Dockerfile").to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
}

/// What the engine sends from a folder that holds everything.
fn is_sent(path: &str) -> bool {
    let ignored = read(".dockerignore");
    let first = path.split('/').next().unwrap();
    assert_eq!(ignored.lines().find(|line| !line.starts_with('#')), Some("*"), "nothing but what is named is sent");
    ignored.lines().any(|line| line.strip_prefix('!').is_some_and(|named| named == first))
}

#[test]
fn the_build_gets_all_that_it_needs_and_nothing_else() {
    let stages = stages();
    assert_eq!(stages.len(), 2, "one builds, one runs");
    let mut copied = Vec::new();
    for args in stages.iter().flat_map(|stage| all(stage, "COPY")).filter(|args| !args.contains("--from=")) {
        let paths: Vec<&str> = args.split(' ').collect();
        for path in &paths[..paths.len() - 1] {
            assert!(source(path).exists() && is_sent(path), "{path}");
            copied.push((*path).to_owned());
        }
    }
    for secret in ["nightmark.db", "nightmark.toml", "snapshots", "target", ".git", "docker", "jobs"] {
        assert!(!is_sent(secret), "{secret}");
    }
    // Whatever the code embeds is there when it is compiled.
    let mut embedded = 0;
    for (folder, path) in embedded_paths() {
        let mut parts: Vec<&str> = folder.split('/').collect();
        for part in path.split('/') {
            if part == ".." { parts.pop().map(drop).unwrap() } else { parts.push(part) }
        }
        assert!(copied.iter().any(|copied| copied == parts[0]), "{folder}: {path}");
        embedded += 1;
    }
    assert!(embedded > 12, "{embedded}");
}

/// Files that the code embeds, without its tests: the folder of the code, and the path from there.
fn embedded_paths() -> Vec<(String, String)> {
    fn walk(folder: &str, out: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(source(folder)).unwrap() {
            let name = format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap());
            if source(&name).is_dir() {
                walk(&name, out);
            } else if name.ends_with(".rs") {
                let text = read(&name);
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
                let paths =
                    code.split("include_str!(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
                out.extend(paths.map(|path| (folder.to_owned(), path)));
            }
        }
    }
    let mut out = Vec::new();
    walk("src", &mut out);
    out.retain(|(folder, _)| !folder.ends_with("/tests"));
    out
}

/// The layer of what others have written: with empty files for ours, Cargo finds everything that it is to compile.
#[test]
fn the_layer_of_the_dependencies_is_a_workspace() {
    let stages = stages();
    let build = &stages[0];
    let first = build.iter().position(|instruction| instruction.name == "RUN").unwrap();
    let dir = tempfile::tempdir().unwrap();
    for args in all(&build[..first], "COPY") {
        let paths: Vec<&str> = args.split(' ').collect();
        for path in &paths[..paths.len() - 1] {
            crate::support::ran(
                std::process::Command::new("cp").arg("-r").arg(source(path)).arg(dir.path()).output().unwrap(),
            )
            .expect(0);
        }
    }
    let (before, cargo) = build[first].args.split_once(" && cargo build ").unwrap();
    assert!(cargo.contains("--profile dist") && cargo.contains("--locked"), "{cargo}");
    let script =
        format!("{before} && cargo tree --offline --locked --depth 0 --quiet && cargo pkgid --offline --locked");
    let mut shell = std::process::Command::new("sh");
    let ran = crate::support::ran(shell.args(["-euc", &script]).current_dir(dir.path()).output().unwrap()).expect(0);
    assert!(ran.stdout.contains("nightmark v"), "{} {}", ran.stdout, ran.stderr);
    // Both times the same is built, or the layer is for nothing.
    let second = all(&build[first + 1..], "RUN").join(" ");
    let of = |args: &str| args.split("cargo build ").nth(1).unwrap().split(" &&").next().unwrap().to_owned();
    assert_eq!(of(&second), of(&build[first].args));
    assert!(read("Cargo.toml").contains("[profile.dist]"));
    // The compiler is new enough.
    let version = one(build, "FROM").split([':', '-']).nth(1).unwrap();
    assert!(read("Cargo.toml").contains(&format!("rust-version = \"{version}\"")), "{version}");
}
