//! A job file that is broken while it is served, and mended.

use super::{gives_nothing_away, home, job, rows, serve, subjects, told};
use crate::support::Destination;

#[test]
fn a_file_that_breaks_while_it_is_served_leaves_the_version_before_in_force_and_is_told() {
    let (destination, chat) = (Destination::start(), Destination::start());
    let home = home();
    job(&home, "orgs", &destination, "", "");
    rows(&home, "orgs", 1, "free");
    let sound = std::fs::read_to_string(home.path("jobs/orgs.toml")).unwrap();
    let served = serve(&home, &chat);
    let orgs = || served.call("GET", "/api/v1/jobs/orgs", &[], None).1;
    for round in 1..=2 {
        home.write("jobs/orgs.toml", &sound.replacen("version = 1\n", "version = 1\nnonsense = \"<!channel>\"\n", 1));
        let texts = told(&chat, 1);
        assert_eq!(subjects(&texts), ["orgs: the job file has mistakes"]);
        for said in ["nonsense", "runs as it was before its file was changed", "nightmark check orgs"] {
            assert!(texts[0].contains(said), "{said}\n{}", texts[0]);
        }
        assert!(orgs()["faulty"].as_str().unwrap().contains("nonsense"), "{}", orgs());
        // As it was it still runs.
        rows(&home, "orgs", round, "free");
        assert_eq!(served.call("POST", "/api/v1/jobs/orgs/run", &[], None).0, 202);
        destination.wait_for(1);
        assert_eq!(destination.take_orgs(), [format!("ws_{round}")]);
        // Mended, or put back as it was.
        let zone = if round == 1 { "version = 1\ntimezone = \"Europe/Berlin\"\n" } else { "version = 1\n" };
        home.write("jobs/orgs.toml", &sound.replacen("version = 1\n", zone, 1));
        assert_eq!(subjects(&told(&chat, 1)), ["orgs: right again (the job file has mistakes)"]);
        assert!(orgs()["faulty"].is_null(), "{}", orgs());
    }
    assert_eq!(served.stop(), 0);
    assert_eq!(chat.take().len(), 0);
    gives_nothing_away(&home.log());
}
