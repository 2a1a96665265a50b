//! What reading an object takes in memory: the same, however large it is.

use super::large;
use super::servers::{KEY_ID, SECRET, Server};
use crate::sources::{memory, write_job};
use crate::support::Home;

/// How much more a large object may take than a small one, in KiB: less than half of what it is larger.
const MORE: u64 = 64 * 1024;

#[test]
fn memory_does_not_grow_with_the_object() {
    let server = Server::s3();
    let peak = |rows: u64| {
        server.write("lake/orgs.csv", large(usize::try_from(rows).unwrap()));
        let home = Home::new();
        home.write("secret", SECRET);
        let section = format!(
            "kind = \"files\"\npath = \"s3://lake/orgs.csv\"\n[source.options]\naws_endpoint = \"http://{}\"\n\
             aws_access_key_id = \"{KEY_ID}\"\naws_secret_access_key = \"${{file:secret}}\"\n",
            server.address
        );
        write_job(&home, &section, "http://127.0.0.1:9/");
        memory::of_home(&home, rows)
    };
    let (small, big) = (peak(2_000), peak(150_000));
    let bytes = server.path("lake/orgs.csv").metadata().unwrap().len();
    assert!(bytes > 2 * MORE * 1024, "{bytes} bytes");
    assert!(big < small + MORE, "{small} KiB for 2,000 rows, {big} KiB for 150,000");
}
