//! The program with its state in Postgres: what commands do, what becomes of a receiver whose server goes away, and where the
//! password is never to be seen.

use crate::support::postgres::{Cluster, Database, PASSWORD};
use crate::support::{Destination, Home, Ran, Served, job_file, says, signal};
use serde_json::{Value, json};
use std::time::Duration;

/// A home whose state is in the database.
fn home_on(database: &Database) -> Home {
    let home = Home::new();
    home.write("nightmark.toml", &database.setting());
    home
}

/// Nothing that was printed shows the password, as it is or percent-encoded.
#[track_caller]
fn clean(text: &str) {
    assert!(!text.contains("planted/pg") && !text.contains("planted%2Fpg") && !text.contains(PASSWORD), "{text}");
}

fn run(home: &Home, args: &[&str]) -> Ran {
    let output = home.command(args).env("PG_PASSWORD", PASSWORD).env("NIGHTMARK_LOG", "trace").output().unwrap();
    let ran = crate::support::ran(output);
    clean(&ran.stdout);
    clean(&ran.stderr);
    ran
}

/// A command's JSON.
#[track_caller]
fn json_of(home: &Home, args: &[&str], code: i32) -> Value {
    run(home, &[args, &["--json"]].concat()).expect(code).json()
}

#[test]
fn a_nights_work_is_kept_in_postgres() {
    let destination = Destination::start();
    let database = Cluster::shared().database();
    let home = home_on(&database);
    let to = format!(
        "url = \"http://{}/\"\nretry = {{ attempts = 1, base = \"1ms\", max = \"2ms\" }}\ndead_letter_after = 2",
        destination.address
    );
    home.write("jobs/orgs.toml", &job_file("", &to, "preset = \"flat\""));
    home.write("orgs.csv", "workspace_id,plan_id\nws_1,free\nws_2,pro\nws_3,pro\n");
    // A look makes nothing.
    assert_eq!(json_of(&home, &["runs"], 0), json!([]));
    assert_eq!(json_of(&home, &["preview", "orgs"], 0)["added"], json!(3));
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname = 'nightmark'";
    assert_eq!(Cluster::shared().sql(&database.name, schemas), "0");

    destination.set("ws_2", 422);
    destination.set("ws_3", 503);
    let first = json_of(&home, &["run", "orgs"], 1);
    assert_eq!((&first["acknowledged"], &first["refused"], &first["unknown"]), (&json!(1), &json!(1), &json!(1)));
    let second = json_of(&home, &["retry", "orgs"], 1);
    assert_eq!(second["refused"], json!(1), "{second}");
    destination.take();
    destination.clear();
    let third = json_of(&home, &["run", "orgs"], 1);
    assert_eq!((&third["acknowledged"], &third["set_aside"]), (&json!(1), &json!(1)), "{third}");
    assert_eq!(destination.take_orgs(), ["ws_3"], "ws_2 is a dead letter, ws_1 is known");
    assert_eq!(json_of(&home, &["dead-letters", "list"], 0)[0]["key"], json!("ws_2"));
    says(&run(&home, &["dead-letters", "retry", "orgs", "ws_2"]).expect(0), &["1 row to be sent again"]);
    assert_eq!(json_of(&home, &["run", "orgs"], 0)["acknowledged"], json!(1));
    assert_eq!(json_of(&home, &["run", "orgs"], 0)["unchanged"], json!(3));

    assert_eq!(json_of(&home, &["runs"], 0).as_array().unwrap().len(), 4);
    let shown = json_of(&home, &["runs", "show", "orgs"], 0);
    assert_eq!(shown["state"], json!("finished"), "{shown}");
    run(&home, &["explain", "orgs", "ws_1"]).expect(0);
    run(&home, &["snapshot", "verify", "orgs"]).expect(0);
    assert!(home.files().iter().all(|file| file.extension().is_none_or(|e| e != "db")), "nothing is kept beside it");
    for file in home.files() {
        clean(&String::from_utf8_lossy(&std::fs::read(file).unwrap()));
    }
}

#[test]
fn what_is_wrong_with_the_address_is_said_without_its_password() {
    let database = Cluster::shared().database();
    let home = Home::new();
    let address = |user_info: &str| format!("postgres://{user_info}@127.0.0.1:{}/{}", database.port, database.name);
    let written = |url: &str| home.write("nightmark.toml", &format!("[store]\nurl = \"{url}\"\n"));
    written(&address("nightmark_app:planted%2Fpg"));
    says(&run(&home, &["runs"]).expect(2), &["store.url: a password stands in this file", "${NAME}"]);
    written(&address("nightmark_app:${NOT_SET}"));
    says(&run(&home, &["runs"]).expect(2), &["store.url: the environment variable NOT_SET is not set"]);
    // All of it from one variable, as hosts hand it out.
    written("${DATABASE_URL}");
    let with = |url: &str| {
        let output = home.command(&["keys", "list", "--json"]).env("DATABASE_URL", url).output().unwrap();
        let ran = crate::support::ran(output);
        clean(&format!("{}{}", ran.stdout, ran.stderr));
        ran
    };
    assert_eq!(with(&database.url()).expect(0).json(), json!([]));
    says(&with(&database.url().replace("%40c0", "")).expect(2), &["mend user and password in [store] url"]);
    says(&with("mysql://u:planted%2Fpg@h/d").expect(2), &["[store] url", "not the address of a Postgres database"]);
    // PGPASSWORD, as for every other client.
    written(&address("nightmark_app"));
    let mut command = home.command(&["keys", "list", "--json"]);
    assert_eq!(crate::support::ran(command.env("PGPASSWORD", PASSWORD).output().unwrap()).expect(0).json(), json!([]));
    // Another file than nightmark.db.
    home.write("nightmark.toml", "[store]\nurl = \"sqlite:state/other.db\"\n");
    std::fs::create_dir(home.path("state")).unwrap();
    run(&home, &["keys", "create", "--name", "n"]).expect(0);
    assert!(home.path("state/other.db").is_file() && !home.path("nightmark.db").exists());
}

struct Sender {
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Sender {
    fn new() -> Sender {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async { reqwest::Client::builder().no_proxy().build().unwrap() });
        Sender { client, runtime }
    }

    /// The status, whether the answer says when to come again, and its text.
    fn ask(&self, request: reqwest::RequestBuilder) -> (u16, bool, String) {
        self.runtime.block_on(async {
            let answer = request.timeout(Duration::from_secs(60)).send().await.unwrap();
            let again = answer.headers().contains_key("retry-after");
            (answer.status().as_u16(), again, answer.text().await.unwrap())
        })
    }

    fn post(&self, receiver: &str, key: &str, org: &str) -> (u16, bool, String) {
        let url = format!("http://{receiver}/api/product-orgs/webhook/{key}");
        let body = json!({ "workspace_id": org, "mrr": 5 }).to_string();
        self.ask(self.client.post(url).header("content-type", "application/json").body(body))
    }

    fn ready(&self, admin: &str) -> u16 {
        self.ask(self.client.get(format!("http://{admin}/readyz"))).0
    }
}

/// Two receivers side by side on one database, which goes away for a while.
#[test]
fn a_receiver_outlives_its_server() {
    let cluster = Cluster::start();
    let database = cluster.database();
    let homes = [home_on(&database), home_on(&database)];
    let created = json_of(&homes[0], &["keys", "create", "--name", "side by side", "--template", "flat"], 0);
    let key = created["key"].as_str().unwrap();
    let served = homes.each_ref().map(|home| Served::start_with(home, &[("PG_PASSWORD", PASSWORD)]));
    let sender = Sender::new();
    let mut stored = Vec::new();
    for (number, served) in served.iter().enumerate() {
        let org = format!("before_{number}");
        let (status, _, text) = sender.post(&served.receiver, key, &org);
        assert_eq!(status, 200, "{text}");
        stored.push(org);
    }
    cluster.stop();
    for served in &served {
        let (status, again, text) = sender.post(&served.receiver, key, "lost");
        assert_eq!((status, again), (503, true), "{text}");
        clean(&text);
        assert_eq!(sender.ready(&served.admin), 503);
    }
    cluster.resume();
    for (number, served) in served.iter().enumerate() {
        let org = format!("after_{number}");
        // The bound is there only so that a receiver that does not come back ends.
        let back = (0..600).any(|_| {
            let (status, again, text) = sender.post(&served.receiver, key, &org);
            assert!(status == 200 || (status == 503 && again), "{status} {text}");
            status == 200
        });
        assert!(back, "the receiver does not come back");
        assert_eq!(sender.ready(&served.admin), 200);
        stored.push(org);
    }
    let orgs = json_of(&homes[1], &["orgs", "list"], 0);
    let listed: Vec<String> =
        orgs.as_array().unwrap().iter().map(|org| org["product_org_id"].as_str().unwrap().to_owned()).collect();
    stored.sort();
    assert_eq!(listed, stored, "what was answered with 200, and nothing else");
    // Revoked through one, refused by both.
    run(&homes[0], &["keys", "revoke", created["id"].as_str().unwrap()]).expect(0);
    for served in served {
        assert_eq!(sender.post(&served.receiver, key, "revoked").0, 401);
        assert_eq!(served.stop(), 0);
    }
}

/// A receiver that is stopped in the middle of a transaction, as a machine that is suspended: what it holds is taken from it before others give
/// up waiting, and what it had begun is not answered as done.
#[test]
fn a_receiver_that_stands_still_holds_nobody_up() {
    let (cluster, database) = (Cluster::shared(), Cluster::shared().database());
    let homes = [home_on(&database), home_on(&database)];
    let created = json_of(&homes[0], &["keys", "create", "--name", "k", "--template", "flat"], 0);
    let key = created["key"].as_str().unwrap().to_owned();
    let served = homes.each_ref().map(|home| Served::start_with(home, &[("PG_PASSWORD", PASSWORD)]));
    // Time to stop it in.
    let slow = "CREATE FUNCTION nightmark.slow() RETURNS trigger LANGUAGE plpgsql AS \
                $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$; \
                CREATE TRIGGER slow AFTER INSERT ON nightmark.orgs FOR EACH STATEMENT EXECUTE FUNCTION nightmark.slow()";
    cluster.sql(&database.name, slow);
    let (receiver, its) = (served[0].receiver.clone(), key.clone());
    let sending = std::thread::spawn(move || Sender::new().post(&receiver, &its, "ws"));
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    while cluster.sql(&database.name, asleep) == "0" {
        assert!(!sending.is_finished(), "nothing was held");
    }
    signal(served[0].pid(), "STOP");
    let (status, _, text) = Sender::new().post(&served[1].receiver, &key, "ws");
    let revoked = run(&homes[1], &["keys", "revoke", created["id"].as_str().unwrap()]);
    signal(served[0].pid(), "CONT");
    assert_eq!(status, 200, "the same org by another receiver: {text}");
    revoked.expect(0);
    let (status, again, text) = sending.join().unwrap();
    assert_eq!((status, again), (503, true), "{text}");
    let org = json_of(&homes[1], &["orgs", "show", "ws"], 0);
    assert!(org.to_string().contains("\"mrr\":5"), "{org}");
    let written = "SELECT count(*) FROM nightmark.org_history";
    assert_eq!(cluster.sql(&database.name, written), "1", "once, by the one that was answered with 200");
}
