//! Secrets stay between the job and its destination: the real binary, against destinations that repeat every word they
//! hear, with everything logged. Afterwards nothing that was printed, logged or kept has any of them in it.

use crate::support::{Home, Ran, Served, job_file, ran};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Variable and value. The signs in them make every way of writing them look different.
const PLANTED: &[(&str, &str)] = &[
    ("PATH_KEY", "plantedPath/1\"<&>?#"),
    ("QUERY_KEY", "plantedQuery+2?=&%"),
    ("USER_NAME", "plantedUser~3!"),
    ("PASSWORD", "plantedPassword@4/:"),
    ("API_SECRET", "plantedSecret\"5\\<"),
    ("TOKEN", "plantedToken/6+=="),
    ("SIGNING", "whsec_cGxhbnRlZFNpZ25pbmc3L3BsYW50ZWRTaWduaW5n"),
    ("SIGNING_OLD", "whsec_cGxhbnRlZFNpZ25pbmc4K3BsYW50ZWRTaWduaW5n"),
    ("PROXY_PASSWORD", "plantedProxy/9@\""),
    ("SPARK_KEY", "plantedSpark/10\"&%"),
    ("SPARK_SECRET", "plantedSparkSecret<11\\"),
    ("WRITE_KEY", "plantedWrite/12+<&"),
    ("AUTH_USER", "plantedAuth~13\""),
    ("AUTH_PASSWORD", "plantedAuth@14:/&"),
    ("ADDED_KEY", "plantedAdded/15?<"),
    ("REMOVED_KEY", "plantedRemoved+16=&"),
];

/// The variables that a destination hears of, by kind of job.
const PLAIN: &[&str] =
    &["PATH_KEY", "QUERY_KEY", "USER_NAME", "PASSWORD", "API_SECRET", "TOKEN", "SIGNING", "SIGNING_OLD"];
const SPARK: &[&str] = &["SPARK_KEY", "SPARK_SECRET"];
const EVENTS: &[&str] = &["WRITE_KEY"];
const OWN: &[&str] = &["AUTH_USER", "AUTH_PASSWORD", "ADDED_KEY", "REMOVED_KEY", "PATH_KEY"];

fn planted(name: &str) -> &'static str {
    PLANTED.iter().find(|(variable, _)| *variable == name).unwrap().1
}

/// What a destination does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Answers with this status and a piece of the request or of what it knows, another one for each org.
    Echo(u16, &'static [&'static str]),
    /// Redirects to the address that it was called by, key and all.
    Redirect,
    /// Never answers.
    Silent,
}

/// A destination, and all that it was sent.
struct Parrot {
    port: u16,
    heard: Arc<Mutex<String>>,
}

impl Parrot {
    fn start(manner: Manner) -> Parrot {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let parrot = Parrot { port: listener.local_addr().unwrap().port(), heard: Arc::default() };
        let heard = Arc::clone(&parrot.heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || answer(stream, manner, &heard));
            }
        });
        parrot
    }
}

/// The first byte of a TLS handshake.
const TLS: u8 = 22;

/// `None`: the client has gone.
fn answer(mut stream: TcpStream, manner: Manner, heard: &Mutex<String>) -> Option<()> {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            if request.is_empty() && byte[0] == TLS {
                stream.write_all(b"HTTP/1.1 400 This is no TLS\r\n\r\n").ok()?;
                // Until the client has gone: a reset would overtake the answer.
                let _ = stream.read_to_end(&mut Vec::new());
                return None;
            }
            request.push(byte[0]);
        }
        let mut body = vec![0; body_length(&request)];
        stream.read_exact(&mut body).ok()?;
        request.extend(body);
        let request = String::from_utf8_lossy(&request).into_owned();
        heard.lock().unwrap().push_str(&request);
        let reply = match manner {
            Manner::Silent => {
                // Until the client has had enough.
                let _ = stream.read(&mut [0]);
                None
            }
            Manner::Redirect => redirected(&request),
            Manner::Echo(status, knows) => echoed(&request, status, knows),
        };
        stream.write_all(reply?.as_bytes()).ok()?;
    }
}

fn body_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.unwrap_or(0)
}

fn redirected(request: &str) -> Option<String> {
    let path = request.split(' ').nth(1)?;
    let body = format!("moved to http://127.0.0.1:1{path}");
    Some(format!(
        "HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:1{path}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ))
}

/// The pieces of a request that a destination may repeat: its lines, what it may make of them, and what it may know.
fn pieces(request: &str, knows: &[&str]) -> Vec<String> {
    let mut pieces: Vec<String> = request.split("\r\n").map(str::to_owned).collect();
    let line = pieces[0].clone();
    pieces.extend(line.split(['/', '?', '=', ' ']).map(decoded));
    // What no job told it, no job can know again: only a proxy knows its password.
    let proxy = Some("PROXY_PASSWORD").filter(|_| line.contains("http://"));
    pieces.extend(knows.iter().copied().chain(proxy).map(|name| planted(name).to_owned()));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', "%2B").replace('&', "%26");
    url::form_urlencoded::parse(text.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

/// Every way of writing that the test looks for.
fn spellings(text: &str) -> Vec<String> {
    let json = serde_json::Value::from(text).to_string();
    let percent: String = text
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    let html = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let inside = json[1..json.len() - 1].to_owned();
    vec![
        text.to_owned(),
        inside.replace('/', "\\/"),
        inside,
        percent,
        html,
        STANDARD.encode(text),
        URL_SAFE.encode(text),
    ]
}

/// `None`: not a request with an org in it, such as the beginning of TLS.
fn echoed(request: &str, status: u16, knows: &[&str]) -> Option<String> {
    if request.starts_with("CONNECT") {
        return Some(format!("HTTP/1.1 502 {}\r\n\r\n", request.replace("\r\n", " ")));
    }
    let number: usize = request.rsplit_once("\"ws_")?.1.split('"').next()?.parse().ok()?;
    let pieces = pieces(request, knows);
    let form = number / pieces.len() % 9;
    let said = &pieces[number % pieces.len()];
    let body = match form {
        7 => serde_json::json!({ "success": false, "error": { "message": said } }).to_string(),
        8 => serde_json::json!({ "code": said }).to_string(),
        form => format!("<{}>", spellings(said)[form]),
    };
    Some(format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

fn job(scheme: &str, port: u16, extra: &str) -> String {
    let to = format!(
        r#"url = "{scheme}://${{USER_NAME}}:${{PASSWORD}}@127.0.0.1:{port}/hook/${{PATH_KEY}}?k=${{QUERY_KEY}}"
secret = "${{API_SECRET}}"
headers = {{ Authorization-Token = "Bearer ${{TOKEN}}" }}
signing = ["${{SIGNING}}", "${{SIGNING_OLD}}"]
concurrency = 2
retry = {{ attempts = 1, base = "1ms", max = "2ms" }}
timeout = "600ms"
{extra}"#
    );
    job_file("", &to, r#"preset = "flat""#)
}

/// A job of another kind, with what its `[destination]` has besides what all have.
fn job_of(kind: &str, destination: &str) -> String {
    format!(
        "version = 1\n[source]\nkind = \"files\"\npath = \"some.csv\"\n[diff]\nkey = \"workspace_id\"\n[destination]\nkind = \"{kind}\"\n\
         concurrency = 2\nretry = {{ attempts = 1, base = \"1ms\", max = \"2ms\" }}\n{destination}\n"
    )
}

/// Jobs of every kind with secrets of their own, in batches too, each at a destination that knows them.
fn of_all_kinds() -> Vec<(String, String, Parrot)> {
    let spark = |port| {
        job_of(
            "trailspark",
            &format!(
                "base_url = \"http://127.0.0.1:{port}\"\nkey = \"${{SPARK_KEY}}\"\nsecret = \"${{SPARK_SECRET}}\""
            ),
        )
    };
    let events = |kind: &str, address: &str, mode: &str, port| {
        job_of(
            kind,
            &format!("{address} = \"http://127.0.0.1:{port}\"\nwrite_key = \"${{WRITE_KEY}}\"\nmode = \"{mode}\""),
        )
    };
    let own = |batch: &str, port| {
        let at = format!("http://127.0.0.1:{port}");
        let job = job_of(
            "http",
            &format!(
                "url = \"{at}/${{PATH_KEY}}\"\nauth = {{ user = \"${{AUTH_USER}}\", password = \"${{AUTH_PASSWORD}}\" }}\n{batch}\n\
                 [destination.added]\nurl = \"{at}/added/${{ADDED_KEY}}\"\n[destination.removed]\nmethod = \"DELETE\"\n\
                 url = \"{at}/removed?k=${{REMOVED_KEY}}\"\n[payload]\npreset = \"flat\""
            ),
        );
        job.replace("[diff]\n", "[diff]\non = [\"added\", \"changed\", \"removed\"]\n")
    };
    let mut all = Vec::new();
    let mut add = |name: &str, status, knows, job: &dyn Fn(u16) -> String| {
        let parrot = Parrot::start(Manner::Echo(status, knows));
        all.push((name.to_owned(), job(parrot.port), parrot));
    };
    add("spark_200", 200, SPARK, &spark);
    add("spark_400", 400, SPARK, &spark);
    add("segment", 400, EVENTS, &|port| events("segment", "base_url", "single", port));
    add("segment_batch", 400, EVENTS, &|port| events("segment", "base_url", "batch", port));
    add("segment_page", 200, EVENTS, &|port| events("segment", "base_url", "batch", port));
    add("rudderstack", 500, EVENTS, &|port| events("rudderstack", "data_plane_url", "batch", port));
    add("own", 422, OWN, &|port| own("", port));
    add("own_401", 401, OWN, &|port| own("", port));
    add("own_batch", 422, OWN, &|port| own("batch = { rows = 40 }", port));
    add("own_lines", 500, OWN, &|port| own("format = \"ndjson\"\nbatch = { rows = 7 }", port));
    all
}

/// Whatever else somebody looks at who wants to know what happened, as text and as JSON.
fn after_a_bad_night(job: &str) -> Vec<Vec<String>> {
    let commands = [
        &["retry", job][..],
        &["runs", "show", job],
        &["dead-letters", "list", job, "--all"],
        &["dead-letters", "show", job, "ws_0"],
        &["destinations", "list"],
        &["preview", job, "--limit", "3"],
        &["explain", job, "ws_0"],
    ];
    let owned = |command: &[&str]| command.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    let json = |command: &[&str]| owned(&[command, &["--json"]].concat());
    commands.into_iter().flat_map(|command| [owned(command), json(command)]).collect()
}

fn run(home: &Home, args: &[&str]) -> Ran {
    let mut command = home.command(args);
    command.envs(PLANTED.iter().copied()).env("RUST_LOG", "trace").env("NIGHTMARK_LOG", "trace");
    ran(command.output().unwrap())
}

/// Every spelling of every secret, also as a user name and a password are sent.
fn forbidden() -> Vec<String> {
    let mut all: Vec<String> = PLANTED.iter().flat_map(|(_, value)| spellings(value)).collect();
    all.extend(PLANTED.iter().filter_map(|(_, value)| value.strip_prefix("whsec_")).flat_map(spellings));
    all.push(STANDARD.encode(format!("{}:{}", planted("USER_NAME"), planted("PASSWORD"))));
    all.push(STANDARD.encode(format!("{}:{}", planted("AUTH_USER"), planted("AUTH_PASSWORD"))));
    all.push(STANDARD.encode(format!("{}:", planted("WRITE_KEY"))));
    all.push(STANDARD.encode(format!("me:{}", planted("PROXY_PASSWORD"))));
    // What all of them have in common, and so what a piece of any of them would show.
    all.push("planted".to_owned());
    all
}

#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    for secret in forbidden() {
        if let Some(at) = memchr::memmem::find(bytes, secret.as_bytes()) {
            let around = &bytes[at.saturating_sub(200)..bytes.len().min(at + 200)];
            panic!("{what} shows `{secret}`: …{}…", String::from_utf8_lossy(around));
        }
    }
}

#[test]
fn planted_secrets_are_nowhere_but_at_the_destination() {
    let echo = [200, 400, 401, 429, 500].map(|status| Parrot::start(Manner::Echo(status, PLAIN)));
    let (redirect, silent) = (Parrot::start(Manner::Redirect), Parrot::start(Manner::Silent));
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let proxy = |port: u16| format!("proxy = \"http://me:${{PROXY_PASSWORD}}@127.0.0.1:{port}\"");
    let mut jobs = vec![
        ("redirect".to_owned(), job("http", redirect.port, "")),
        ("silent".to_owned(), job("http", silent.port, "")),
        ("gone".to_owned(), job("http", gone, "")),
        ("tls".to_owned(), job("https", echo[1].port, "")),
        ("proxied".to_owned(), job("http", gone, &proxy(echo[1].port))),
        ("proxied_tls".to_owned(), job("https", gone, &proxy(echo[1].port))),
        ("proxy_gone".to_owned(), job("http", echo[1].port, &proxy(gone))),
    ];
    // Only an echo says something else to each org.
    for (name, text) in &mut jobs {
        if name != "proxied" {
            *text = text.replace("orgs.csv", "few.csv");
        }
    }
    let kinds = of_all_kinds();
    jobs.extend(kinds.iter().map(|(name, text, _)| (name.clone(), text.clone())));
    jobs.extend(echo.iter().map(|parrot| (format!("echo_{}", parrot.port), job("http", parrot.port, ""))));

    let home = Home::new();
    let orgs: String = (0..400).map(|n| format!("ws_{n}\n")).collect();
    home.write("orgs.csv", &format!("workspace_id\n{orgs}"));
    let some: String = (0..200).map(|n| format!("ws_{n}\n")).collect();
    home.write("some.csv", &format!("workspace_id\n{some}"));
    home.write("few.csv", "workspace_id\nws_0\nws_1\nws_2\n");
    let (mut shown, mut told) = (String::new(), BTreeMap::new());
    for (number, (name, text)) in jobs.iter().enumerate() {
        home.write(&format!("jobs/{name}.toml"), text);
        let format = if number % 2 == 0 { "text" } else { "json" };
        home.write("nightmark.toml", &format!("[log]\nformat = \"{format}\"\n"));
        for args in [&["check", name][..], &["run", name], &["run", name, "--json"], &["runs"], &["runs", "--json"]] {
            let ran = run(&home, args);
            clean(&format!("stdout of {args:?}"), ran.stdout.as_bytes());
            clean(&format!("stderr of {args:?}"), ran.stderr.as_bytes());
            shown.push_str(&ran.stdout);
            shown.push_str(&ran.stderr);
        }
        for args in after_a_bad_night(name) {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let ran = run(&home, &args);
            clean(&format!("stdout of {args:?}"), ran.stdout.as_bytes());
            clean(&format!("stderr of {args:?}"), ran.stderr.as_bytes());
            let command = args.iter().filter(|arg| *arg != name).copied().collect::<Vec<_>>().join(" ");
            *told.entry(command).or_insert(0) += usize::from(ran.stdout.contains("[redacted]"));
        }
        for file in home.files() {
            clean(&file.display().to_string(), &std::fs::read(&file).unwrap());
        }
    }
    // The daemon over the same jobs: its log and its metrics.
    for format in ["text", "json"] {
        let variables: Vec<(&str, &str)> =
            PLANTED.iter().copied().chain([("NIGHTMARK_LOG", "trace"), ("NIGHTMARK_LOG_FORMAT", format)]).collect();
        let served = Served::start_with(&home, &variables);
        let metrics = std::process::Command::new("curl")
            .args(["-sS", &format!("http://{}/metrics", served.admin)])
            .output()
            .unwrap();
        assert!(String::from_utf8_lossy(&metrics.stdout).contains("nightmark_dead_letters{job_name=\"spark_400\"}"));
        clean("/metrics", &metrics.stdout);
        assert_eq!(served.stop(), 0);
        clean("the daemon's log", home.log().as_bytes());
        assert!(home.log().contains("stopping"), "{}", home.log());
    }
    // The test looks at the right thing: the destinations heard every secret, the log is there, and words were replaced.
    let all = echo.iter().chain(kinds.iter().map(|(.., parrot)| parrot));
    let heard = all.map(|parrot| parrot.heard.lock().unwrap().clone()).collect::<String>();
    let basic = |user: &str, password: &str| format!("basic {}", STANDARD.encode(format!("{user}:{password}")));
    for sent in [
        &basic(planted("WRITE_KEY"), ""),
        &basic(planted("AUTH_USER"), planted("AUTH_PASSWORD")),
        "webhook/plantedSpark%2F10",
        "plantedSparkSecret<11",
        "added/plantedAdded%2F15",
        "plantedPath%2F1",
        "plantedQuery%2B2",
        "plantedSecret\"5\\<",
        "Bearer plantedToken/6+==",
        "proxy-authorization: ",
    ] {
        assert!(heard.to_lowercase().contains(&sent.to_lowercase()), "the destinations heard no {sent}");
    }
    assert!(shown.contains("[redacted]") && shown.contains("TRACE"), "{shown}");
    for (command, times) in &told {
        // Those show what is to be sent, not what the destination said.
        let is_silent = command.starts_with("preview") || command.starts_with("explain");
        assert!(is_silent || *times > 0, "`{command}` never had a word of the destination to show: {told:?}");
    }
    let database = home.files().into_iter().find(|file| file.extension().is_some_and(|e| e == "db")).unwrap();
    assert!(memchr::memmem::find(&std::fs::read(database).unwrap(), b"[redacted]").is_some(), "receipts are kept");
}
