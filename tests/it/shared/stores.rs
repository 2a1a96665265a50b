//! What snapshots and sources need of an object store, on each that runs here.

use super::azurite::{ACCOUNT, Azurite, KEY};
use super::server::Server;
use nightmark::objects::{Condition, Objects, Version, Why};
use std::collections::BTreeMap;
use std::path::Path;

fn settings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn s3() {
    let server = Server::start();
    let endpoint = format!("http://{}", server.address);
    let settings = settings(&[
        ("aws_endpoint", &endpoint),
        ("aws_region", "eu-central-1"),
        ("aws_access_key_id", "somebody"),
        ("aws_secret_access_key", "planted"),
    ]);
    check("s3://lake/nm", &settings);
}

#[test]
fn azure() {
    let server = Azurite::start();
    let endpoint = server.endpoint();
    let settings = settings(&[
        ("azure_endpoint", &endpoint),
        ("azure_storage_account_name", ACCOUNT),
        ("azure_storage_account_key", KEY),
    ]);
    check("az://lake/nm", &settings);
}

#[track_caller]
fn check(address: &str, settings: &BTreeMap<String, String>) {
    let (objects, folder) = Objects::open(address, settings, Vec::new()).unwrap();
    assert_eq!(folder, "nm");
    conditions(&objects);
    whole(&objects);
}

/// Of two who write on the same condition one is told that it does not hold.
fn conditions(objects: &Objects) {
    let path = "nm/orgs/manifest.json";
    let put = |text: &str, condition: Condition<'_>| objects.put_if(path, text.as_bytes(), condition);
    let content = || objects.get(path).unwrap().map(|(text, version)| (String::from_utf8(text).unwrap(), version));
    assert_eq!(content(), None);
    assert_eq!(put("0", Condition::Unchanged(&Version::none())).unwrap_err().why, Why::Changed);
    let first = put("1", Condition::Absent).unwrap();
    assert_eq!(content(), Some(("1".to_owned(), first.clone())));
    assert_eq!(put("2", Condition::Absent).unwrap_err().why, Why::Changed);
    let second = put("2", Condition::Unchanged(&first)).unwrap();
    assert_eq!(put("3", Condition::Unchanged(&first)).unwrap_err().why, Why::Changed);
    assert_eq!(put("3", Condition::Unchanged(&Version::none())).unwrap_err().why, Why::Changed);
    assert_eq!(content(), Some(("2".to_owned(), second)));
}

/// Files of any size, whole or from any byte on, in folders.
fn whole(objects: &Objects) {
    let folder = tempfile::tempdir().unwrap();
    let read = |path: &str, from: u64| {
        let mut content = Vec::new();
        let mut sink = |piece: &[u8]| {
            content.extend_from_slice(piece);
            Ok::<(), ()>(())
        };
        objects.read(path, None, from, &mut sink).unwrap().unwrap();
        content
    };
    // Nothing, a little, exactly a part, and more than two.
    for size in [0_usize, 11, 16 << 20, (33 << 20) + 7] {
        let (file, path) = (folder.path().join("file"), format!("nm/orgs/RUN {size}/base.parquet"));
        let content: Vec<u8> = (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        std::fs::write(&file, &content).unwrap();
        objects.upload(&path, &file).unwrap();
        assert!(read(&path, 0) == content, "{size}");
        assert_eq!(objects.look(&path).unwrap().unwrap().size, size as u64);
        if size > 5 {
            assert!(read(&path, 5) == content[5..], "{size}");
        }
    }
    let (files, mut folders) = objects.list("nm/orgs").unwrap();
    folders.sort();
    assert_eq!(files.iter().map(|file| file.location.as_ref()).collect::<Vec<_>>(), ["nm/orgs/manifest.json"]);
    assert_eq!(folders, ["nm/orgs/RUN 0", "nm/orgs/RUN 11", "nm/orgs/RUN 16777216", "nm/orgs/RUN 34603015"]);
    let gone = "nm/orgs/RUN 11/base.parquet";
    for _ in 0..2 {
        objects.remove(gone).unwrap();
        assert!(objects.look(gone).unwrap().is_none());
    }
    assert_eq!(objects.list("nm/orgs").unwrap().1.len(), 3);
    assert!(objects.upload("nm/x", Path::new("/nowhere/x")).unwrap_err().message.contains("/nowhere/x"));
}
