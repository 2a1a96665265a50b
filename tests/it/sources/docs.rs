//! The pages of docs/sources: each has a job to copy, which is one.

use nightmark::config::Home;
use nightmark::job::load_all;
use std::path::Path;

#[test]
fn the_jobs_to_copy_are_jobs() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sources");
    let mut checked = Vec::new();
    for page in std::fs::read_dir(pages).unwrap() {
        let page = page.unwrap().path();
        let text = std::fs::read_to_string(&page).unwrap();
        let jobs = text.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap());
        let jobs: Vec<&str> = jobs.filter(|block| block.contains("version = 1")).collect();
        assert!(!jobs.is_empty(), "{} has no job to copy", page.display());
        for (number, job) in jobs.iter().enumerate() {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("jobs")).unwrap();
            std::fs::write(folder.path().join(format!("jobs/job{number}.toml")), job).unwrap();
            let (found, problems) = load_all(&Home::new(folder.path()).unwrap());
            assert!(problems.is_empty() && found.len() == 1, "{}: {problems:#?}", page.display());
        }
        checked.push(page.file_stem().unwrap().to_string_lossy().into_owned());
    }
    for page in ["postgres", "redshift", "mysql", "sqlite"] {
        assert!(checked.iter().any(|name| name == page), "{page}");
    }
}
