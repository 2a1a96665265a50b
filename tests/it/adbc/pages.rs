//! The pages of docs/sources/ about drivers: each job on them is one.

use nightmark::job::spec::Source;
use std::path::Path;

#[test]
fn every_job_of_the_pages_is_valid() {
    for (page, least) in [("snowflake", 1), ("bigquery", 1), ("databricks-spark", 2), ("duckdb", 1), ("adbc", 1)] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sources").join(page).with_extension("md");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let blocks = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let jobs: Vec<&str> = blocks.filter(|block| block.contains("version = 1")).collect();
        assert!(jobs.len() >= least, "{page}: {} jobs", jobs.len());
        for job in jobs {
            let parsed = nightmark::job::parse(job, Path::new("jobs/page.toml"), Path::new("/srv/nightmark"));
            let parsed = parsed.unwrap_or_else(|problems| panic!("{page}: {problems:#?}"));
            assert!(matches!(parsed.source, Source::Adbc(_)), "{page}");
        }
        for part in ["Grant", "not run here", "run here"] {
            assert!(text.contains(part) || (page == "duckdb" && part != "run here"), "{page} does not say `{part}`");
        }
    }
}
