//! `check` looks at the first rows: of a file at a distance it fetches no more than these stand in, where that can be known.

use super::servers::{Server, Sshd};
use super::{Nights, azure, csv, large, s3, sftp};
use crate::adbc::proxy::Proxy;
use crate::shared::azurite::Azurite;
use crate::support::says;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// More than is ever fetched of a text's beginning.
const MOST: usize = 10 << 20;

/// A text of so many bytes that cannot be packed; another for each number.
fn noise(number: u64, bytes: usize) -> String {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'0' + (state >> 32) as u8 % 75)
    };
    (0..bytes).map(|_| next()).filter(|c| c.is_ascii_alphanumeric()).collect()
}

/// Parquet of so many row groups of 1,500 rows, about a megabyte each.
fn groups(count: u64) -> Vec<u8> {
    let group = |group: u64| {
        let rows: Vec<u64> = (group * 1500..(group + 1) * 1500).collect();
        let id: StringArray = rows.iter().map(|n| Some(format!("ws_{n}"))).collect();
        let seats: Int64Array = rows.iter().map(|n| Some(*n as i64)).collect();
        let note: StringArray = rows.iter().map(|n| Some(noise(*n, 800))).collect();
        let columns: [(&str, ArrayRef); 3] =
            [("workspace_id", Arc::new(id)), ("seats", Arc::new(seats)), ("note", Arc::new(note))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, group(0).schema(), None).unwrap();
    for number in 0..count {
        writer.write(&group(number)).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
    bytes
}

/// `check` finds a thousand rows, and the server has sent no more than this.
#[track_caller]
fn looks(nights: &Nights, way: &Proxy, most: usize, parts: &[&str]) {
    let before = way.passed.load(Ordering::SeqCst);
    let checked = nights.run(&["check", "orgs"]).expect(0);
    says(&checked, &[&["1,000 rows read"], parts].concat());
    let passed = way.passed.load(Ordering::SeqCst) - before;
    assert!(passed < most, "{passed} bytes");
    nights.left_nothing();
}

/// As [`looks`], for each file and what `check` may fetch of it.
fn all(files: &[(&str, Vec<u8>, usize)], way: &Proxy, write: impl Fn(&str, &[u8]), nights: impl Fn(&str) -> Nights) {
    for (name, content, most) in files {
        assert!(content.len() > most + most / 2, "{name} has {} bytes", content.len());
        write(name, content);
        looks(&nights(name), way, *most, &["workspace_id"]);
    }
}

fn csv_and_parquet() -> [(&'static str, Vec<u8>, usize); 2] {
    [("orgs.csv", large(20_000).into_bytes(), MOST), ("orgs.parquet", groups(10), 2 << 20)]
}

/// Of a text from a server that gives the whole. Each time that is broken off, some megabytes are on their way, how many is a matter of luck.
const WHOLE: (usize, usize) = (130_000, 6 * MOST);

/// This server answers a request for the first bytes with the whole, of which more is on its way when it is broken off.
#[test]
fn of_an_object() {
    let server = Server::s3();
    let way = Proxy::to(server.address.port());
    let address = ([127, 0, 0, 1], way.port).into();
    let [csv, (parquet, groups, _)] = csv_and_parquet();
    let nights = |name: &str| s3::nights(&s3::source(&format!("s3://lake/{name}"), address, ""));
    let write = |name: &str, content: &[u8]| server.write(&format!("lake/{name}"), content);
    all(&[(csv.0, large(WHOLE.0).into_bytes(), WHOLE.1)], &way, write, nights);
    // It does not give all parts of Parquet either; that they suffice is seen at Azurite.
    write(parquet, &groups);
    looks(&nights(parquet), &way, groups.len() * 3, &["workspace_id"]);
}

/// Also of what is packed, and of other text.
#[test]
fn of_a_blob() {
    let server = Azurite::start();
    let way = Proxy::to(server.address.port());
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(large(1200).as_bytes()).unwrap();
    let rows: String = (1200..40_000).map(|n| format!("ws_{n},{}\n", noise(n, 800))).collect();
    encoder.write_all(rows.as_bytes()).unwrap();
    let object = |n| format!("{{\"workspace_id\": \"ws_{n}\", \"note\": \"{}\"}}\n", noise(n, 5_000));
    let objects: String = (0..4500).map(object).collect();
    let [csv, parquet] = csv_and_parquet();
    let packed = ("orgs.csv.gz", encoder.finish().unwrap(), MOST);
    let files = [csv, parquet, packed, ("orgs.ndjson", objects.into_bytes(), MOST)];
    let endpoint = server.endpoint().replace(&server.address.port().to_string(), &way.port.to_string());
    let nights = |name: &str| {
        azure::nights(&format!("path = \"az://lake/{name}\"\noptions = {{ azure_endpoint = \"{endpoint}\" }}\n"))
    };
    all(&files, &way, |name, content| azure::write(&server, name, content), nights);
}

/// The library asks for some megabytes ahead.
#[test]
fn of_a_file_over_sftp() {
    let sshd = Sshd::start();
    let way = Proxy::to(sshd.port);
    let hosts = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    std::fs::write(sshd.path("known_hosts"), hosts.replace(&sshd.port.to_string(), &way.port.to_string())).unwrap();
    let nights = |name: &str| Nights::new(&sftp::source(&sshd, way.port, name, &sftp::by_key(&sshd)));
    let write = |name: &str, content: &[u8]| std::fs::write(sshd.path("files").join(name), content).unwrap();
    // The library asks for what stands behind as well, so that Parquet is copied.
    let [(csv, content, most), (parquet, groups, _)] = csv_and_parquet();
    all(&[(csv, content, most + (4 << 20))], &way, write, nights);
    write(parquet, &groups);
    looks(&nights(parquet), &way, groups.len() * 3, &["workspace_id"]);
}

/// A server of HTTP need not know of parts, so that Parquet is copied.
#[test]
fn of_a_file_behind_http() {
    let server = Server::http(&[]);
    let way = Proxy::to(server.address.port());
    let [csv, (name, parquet, _)] = csv_and_parquet();
    let nights = |name: &str| Nights::new(&format!("path = \"http://127.0.0.1:{}/{name}\"", way.port));
    // To look at it is to ask for it, and what is on the way by then counts.
    let csv = (csv.0, large(WHOLE.0).into_bytes(), WHOLE.1);
    all(&[csv], &way, |name, content| server.write(name, content), nights);
    let whole = parquet.len();
    server.write(name, parquet);
    looks(&nights(name), &way, whole * 3, &["seats (int"]);
}

/// What does not fit into the beginning is looked at all the same: rows that are wide, few rows, a fault.
#[test]
fn all_of_it_where_the_beginning_does_not_say() {
    let server = Server::s3();
    let way = Proxy::to(server.address.port());
    let address = ([127, 0, 0, 1], way.port).into();
    let nights = |path: &str| s3::nights(&s3::source(&format!("s3://lake/{path}"), address, ""));
    let wide: String = (0..1100).map(|n| format!("ws_{n},{}\n", "x".repeat(10_000))).collect();
    server.write("lake/wide.csv", format!("workspace_id,name\n{wide}"));
    looks(&nights("wide.csv"), &way, 30 << 20, &["name (text"]);
    let few: String = (0..900).map(|n| format!("ws_{n},{}\n", "x".repeat(10_000))).collect();
    server.write("lake/few.csv", format!("workspace_id,name\n{few}"));
    says(&nights("few.csv").run(&["check", "orgs"]).expect(0), &["900 rows read"]);
    server.write("lake/faulty.csv", format!("{}ws_x\n{}", csv(&["a"]), "ws_y,b\n".repeat(2 << 20)));
    says(
        &nights("faulty.csv").run(&["check", "orgs"]).expect(2),
        &["s3://lake/faulty.csv, line 3: 1 field, expected 2"],
    );
    server.write("lake/none.parquet", large(20_000));
    says(&nights("none.parquet").run(&["check", "orgs"]).expect(2), &["s3://lake/none.parquet as Parquet"]);
}

/// Of several files the first, if it has enough rows; else all.
#[test]
fn of_several_files_the_first() {
    let server = Server::s3();
    let way = Proxy::to(server.address.port());
    let address = ([127, 0, 0, 1], way.port).into();
    let nights = s3::nights(&s3::source("s3://lake/orgs_*.csv", address, ""));
    server.write("lake/orgs_1.csv", large(1001));
    server.write("lake/orgs_2.csv", large(5000).replace("ws_", "wt_"));
    looks(&nights, &way, 2 << 20, &[]);
    server.write("lake/orgs_1.csv", large(600));
    looks(&nights, &way, 8 << 20, &[]);
}
