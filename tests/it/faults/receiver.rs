//! A receiver whose disk is full: no update is lost that was acknowledged, the others are told to come again, and once there is room it
//! works again without being started anew.

use super::disk::Disk;
use serde_json::json;
use std::process::{Child, Stdio};
use std::time::Duration;

/// `nightmark serve` on a disk; killed at the end.
struct Served {
    child: Child,
    address: String,
    admin: String,
}

impl Served {
    fn start(disk: &Disk) -> Self {
        let args = ["serve", "--receiver", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
        let mut command = disk.nightmark(&args);
        // The ready file must not need room where there is none later.
        let ready = tempfile::tempdir().unwrap();
        let ready_file = ready.path().join("ready.json");
        command.args(["--ready-file"]).arg(&ready_file);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // From here on it is killed whatever happens.
        let mut served = Served { child, address: String::new(), admin: String::new() };
        for _ in 0..3000 {
            if let Ok(text) = std::fs::read_to_string(&ready_file) {
                let addresses: serde_json::Value = serde_json::from_str(&text).unwrap();
                served.admin = addresses["admin"].as_str().unwrap().to_owned();
                served.address = addresses["receiver"].as_str().unwrap().to_owned();
                return served;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("serve did not become ready");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_full_disk_is_503_until_there_is_room() {
    let disk = Disk::new();
    disk.writable();
    let settings = "[receiver]\nrate = 100000\n";
    std::fs::write(disk.seen().join("nightmark.toml"), settings).unwrap();
    let created = disk.run(&["keys", "create", "--json", "--name", "k", "--template", "flat"]).expect(0).json();
    let served = Served::start(&disk);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}/api/product-orgs/webhook/{}", served.address, created["key"].as_str().unwrap());
    let ready = format!("http://{}/readyz", served.admin);
    let ready = async || client.get(&ready).send().await.unwrap().status().as_u16();
    let mut acknowledged = Vec::new();
    let mut next = 0;
    let mut post = async |acknowledged: &mut Vec<String>| {
        next += 1;
        let id = format!("ws_{next:05}");
        // Of a length that fills pages soon.
        let body = json!({"workspace_id": id, "workspace_name": "x".repeat(2000)}).to_string();
        let answer = client.post(&url).header("content-type", "application/json").body(body).send().await.unwrap();
        let (status, retry) = (answer.status().as_u16(), answer.headers().contains_key("retry-after"));
        if status == 200 {
            acknowledged.push(id);
        }
        (status, retry)
    };
    // More than once: whatever a full disk leaves behind must not add up.
    for round in 0..3 {
        assert_eq!(post(&mut acknowledged).await.0, 200, "round {round}: there is room");
        disk.resize(disk.used() + 256 * 1024);
        let mut refused = 0;
        for _ in 0..2000 {
            match post(&mut acknowledged).await {
                (200, _) => {}
                (503, true) => refused += 1,
                other => panic!("round {round}: {other:?}"),
            }
            if refused == 20 {
                break;
            }
        }
        assert_eq!(refused, 20, "round {round}: the disk is full");
        assert_eq!(ready().await, 503, "round {round}: no updates are to be sent here");
        disk.writable();
        // Nobody sends any, and it finds out all the same.
        for _ in 0..600 {
            match ready().await {
                200 => break,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        assert_eq!(ready().await, 200, "round {round}: there is room again");
        let mut answers = Vec::new();
        for _ in 0..3 {
            answers.push(post(&mut acknowledged).await.0);
        }
        assert_eq!(answers[1..], [200, 200], "round {round}: room was made, {answers:?}");
    }
    drop(served);
    let listed = disk.run(&["orgs", "list", "--limit", "10000", "--json"]).expect(0).json();
    let stored: Vec<&str> =
        listed.as_array().unwrap().iter().filter_map(|org| org["product_org_id"].as_str()).collect();
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !stored.contains(&id.as_str())).collect();
    assert!(lost.is_empty(), "{lost:?}");
}
