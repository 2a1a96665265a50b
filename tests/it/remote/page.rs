//! docs/sources/files.md: its jobs are valid, and it names every setting.

use nightmark::config::Home;
use nightmark::job::load_job;
use nightmark::job::spec::{Scheme, Source};

const PAGE: &str = include_str!("../../../docs/sources/files.md");

#[test]
fn the_jobs_of_the_page_are_valid() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("jobs")).unwrap();
    let home = Home::new(dir.path()).unwrap();
    let mut schemes = Vec::new();
    for (number, block) in PAGE.split("```toml\n").skip(1).enumerate() {
        let file = dir.path().join(format!("jobs/job{number}.toml"));
        std::fs::write(&file, block.split("```").next().unwrap()).unwrap();
        let job = load_job(&home, &format!("job{number}")).unwrap_or_else(|e| panic!("job {number}: {e}"));
        let Source::Files(files) = &job.source else { panic!("{number} is of another kind") };
        schemes.push(files.remote.as_ref().unwrap().scheme);
    }
    assert_eq!(schemes, [Scheme::S3, Scheme::Google, Scheme::Azure, Scheme::Http, Scheme::Sftp]);
}
