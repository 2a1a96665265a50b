//! A daemon that looks at a distance for new extracts.

use super::servers::{KEY_ID, SECRET, Server};
use super::{Nights, csv};
use crate::support::Served;

#[test]
fn a_new_object_begins_a_run() {
    let server = Server::s3();
    let options = format!("options = {{ aws_endpoint = \"http://{}\" }}", server.address);
    let nights = Nights::new(&format!("path = \"s3://lake/out/orgs_*.csv\"\npick = \"latest\"\n{options}"));
    let file = nights.home.path("jobs/orgs.toml");
    let job = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, job.replacen("version = 1\n", "version = 1\non_file = \"1s\"\n", 1)).unwrap();
    server.write("lake/out/orgs_1.csv", csv(&["a"]));
    let secrets = [("AWS_ACCESS_KEY_ID", KEY_ID), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let served = Served::start_with(&nights.home, &secrets);
    nights.destination.wait_for(1);
    assert_eq!(nights.destination.take_orgs(), ["a"]);
    server.write("lake/out/orgs_2.csv", csv(&["a", "b"]));
    nights.destination.wait_for(1);
    assert_eq!(nights.destination.take_orgs(), ["b"]);
    assert_eq!(served.stop(), 0);
    assert!(!nights.home.log().contains(SECRET), "{}", nights.home.log());
}
