//! Servers whose clock is wrong, and servers that do not say when anything was written.

use super::{Nights, csv};
use chrono::{DateTime, TimeDelta, Utc};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// How long after the first request the file is written to its end.
const WRITING: Duration = Duration::from_secs(3);

/// A server of HTTP with one file.
#[derive(Clone, Copy)]
struct Clocked {
    /// How far its clock is ahead.
    ahead: TimeDelta,
    /// Whether its answers say what time it is.
    has_date: bool,
    /// How old the file is; `None`: it is still being written.
    age: Option<TimeDelta>,
}

impl Clocked {
    fn start(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut first = None;
            for client in listener.incoming() {
                let first = *first.get_or_insert_with(|| (Utc::now(), Instant::now()));
                let _ = self.answer(client.unwrap(), first);
            }
        });
        address
    }

    /// `first`: when the first request came.
    fn answer(self, mut client: TcpStream, (first, at): (DateTime<Utc>, Instant)) -> std::io::Result<()> {
        let lines = BufReader::new(client.try_clone()?).lines().map_while(Result::ok);
        lines.take_while(|line| !line.is_empty()).for_each(drop);
        let (content, written) = match self.age {
            Some(age) => (csv(&["a", "b"]), first - age),
            None if at.elapsed() < WRITING => (csv(&["a"]), first),
            None => (csv(&["a", "b"]), first + TimeDelta::from_std(WRITING).unwrap()),
        };
        let by_its_clock = |at: DateTime<Utc>| (at + self.ahead).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        let date = if self.has_date { format!("Date: {}\r\n", by_its_clock(Utc::now())) } else { String::new() };
        write!(
            client,
            "HTTP/1.1 200 OK\r\n{date}Last-Modified: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{content}",
            by_its_clock(written),
            content.len()
        )
    }

    fn nights(self, more: &str) -> Nights {
        Nights::new(&format!("path = \"http://{}/orgs.csv\"\n{more}", self.start()))
    }
}

/// By this machine's clock it would seem to be hours old, and two looks within a moment find the same.
#[test]
fn a_file_that_is_being_written_is_not_taken_for_an_old_one() {
    for has_date in [true, false] {
        let server = Clocked { ahead: TimeDelta::hours(-10), has_date, age: None };
        assert_eq!(server.nights("settled = \"5s\"").night(), ["a", "b"], "{has_date}");
    }
}

/// By this machine's clock it would be written in ten hours.
#[test]
fn a_file_that_is_complete_is_not_waited_for_because_a_clock_is_ahead() {
    let server = Clocked { ahead: TimeDelta::hours(12), has_date: true, age: Some(TimeDelta::hours(2)) };
    let began = Instant::now();
    assert_eq!(server.nights("settled = \"10m\"").night(), ["a", "b"]);
    assert!(began.elapsed() < Duration::from_secs(300), "{:?}", began.elapsed());
    // It is waited for where nothing shows that the clock is ahead, and then read all the same.
    let silent = Clocked { has_date: false, ..server };
    let began = Instant::now();
    assert_eq!(silent.nights("settled = \"4s\"").night(), ["a", "b"]);
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn how_old_an_extract_is_does_not_hang_on_whose_clock_is_wrong() {
    for days in [-3, 0, 3] {
        let of =
            |hours: i64| Clocked { ahead: TimeDelta::days(days), has_date: true, age: Some(TimeDelta::hours(hours)) };
        assert_eq!(of(1).nights("max_age = \"36h\"").night(), ["a", "b"], "{days}");
        let held = of(40).nights("max_age = \"36h\"").run(&["run", "orgs"]).expect(3);
        crate::support::says(&held, &["is 40 hours old, more than source.max_age allows (36 hours)"]);
    }
}

/// A store of S3's protocol that says of everything that it was written at the beginning of 1970, as gateways to other systems do. It has these
/// objects in `out/`, each with one org of the same name.
fn timeless(names: &'static [&'static str]) -> SocketAddr {
    const THEN: &str = "Thu, 01 Jan 1970 00:00:00 GMT";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let content = |name: &str| csv(&[name.trim_end_matches(".csv")]);
    let answer = move |line: &str| {
        let path = line.split(' ').nth(1).unwrap_or_default();
        if path.contains("list-type=2") {
            let entries = names.iter().map(|name| {
                let length = content(name).len();
                format!(
                    "<Contents><Key>out/{name}</Key><LastModified>1970-01-01T00:00:00.000Z</LastModified><ETag>&quot;{name}&quot;</ETag>\
                     <Size>{length}</Size></Contents>"
                )
            });
            let list: String = entries.collect();
            let body = format!(
                "<?xml version=\"1.0\"?><ListBucketResult><IsTruncated>false</IsTruncated>{list}</ListBucketResult>"
            );
            return format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        }
        match names.iter().find(|name| path.ends_with(&format!("/out/{name}"))) {
            Some(name) => {
                let content = content(name);
                let head = format!(
                    "HTTP/1.1 200 OK\r\nLast-Modified: {THEN}\r\nETag: \"{name}\"\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    content.len()
                );
                if line.starts_with("HEAD") { head } else { head + &content }
            }
            None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        }
    };
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let lines = BufReader::new(client.try_clone().unwrap()).lines().map_while(Result::ok);
            let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let line = head.first().map_or("", String::as_str);
            let _ = client.write_all(answer(line).as_bytes());
        }
    });
    address
}

fn of_timeless(names: &'static [&'static str], path: &str, more: &str) -> Nights {
    let options =
        format!("options = {{ aws_endpoint = \"http://{}\", aws_skip_signature = \"true\" }}", timeless(names));
    Nights::new(&format!("path = \"s3://lake/{path}\"\n{more}\n{options}"))
}

#[test]
fn the_latest_of_a_place_that_does_not_say_when_is_not_guessed() {
    const NAMES: &[&str] = &["orgs_9.csv", "orgs_10.csv"];
    let nights = of_timeless(NAMES, "out/orgs_*.csv", "pick = \"latest\"");
    nights.fails(&["source.latest_by", "it is not known when out/orgs_", "latest_by = \"name\""]);
    nights.refuses(&["source.latest_by"]);
    assert_eq!(of_timeless(NAMES, "out/orgs_*.csv", "pick = \"latest\"\nlatest_by = \"name\"").night(), ["orgs_10"]);
    // Of one there is no doubt.
    assert_eq!(of_timeless(NAMES, "out/orgs_9*.csv", "pick = \"latest\"").night(), ["orgs_9"]);
    assert_eq!(of_timeless(NAMES, "out/orgs_*.csv", "settled = \"1s\"").night(), ["orgs_10", "orgs_9"]);
    let max_age = of_timeless(NAMES, "out/orgs_*.csv", "max_age = \"1d\"");
    max_age.fails(&["source.max_age", "it is not known when"]);
}
