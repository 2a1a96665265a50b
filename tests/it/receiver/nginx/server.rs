//! The real nginx with our configuration, on a free port of loopback, and curl as its client.

use crate::support::Home;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub const CONFIG: &str = include_str!("../../../../docker/nginx/receiver.conf");
/// As the configuration calls its server.
const NAME: &str = "nightmark.example.com";
/// As the guide's commands call it.
const GUIDE_NAME: &str = "acme.trailspark.ai";

/// What nginx says when another process has the port.
const TAKEN: &str = "Address already in use";

pub struct Nginx {
    child: Child,
    port: u16,
    dir: PathBuf,
}

pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// What our configuration names, and what it has instead in a test. All of it must be there.
fn adapted(receiver: &str, port: u16, dir: &Path) -> String {
    let dir = dir.display();
    let changes = [
        ("server 127.0.0.1:8080;", format!("server {receiver};")),
        ("listen 443 ssl;", format!("listen 127.0.0.1:{port} ssl;")),
        ("/etc/nginx/nightmark/", format!("{dir}/")),
        ("/var/log/nginx/", format!("{dir}/log/")),
    ];
    changes.iter().fold(CONFIG.to_owned(), |config, (from, to)| {
        assert!(config.contains(from), "{from}");
        config.replace(from, to)
    })
}

/// What Debian's nginx.conf would be around it.
fn around(dir: &Path) -> String {
    let shown = dir.display();
    // The folder is one of root's where the test is.
    let user = if dir.metadata().is_ok_and(|dir| std::os::unix::fs::MetadataExt::uid(&dir) == 0) {
        "user root;\n"
    } else {
        ""
    };
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("  {kind}_temp_path {shown}/{kind};\n"))
        .collect();
    format!(
        "{user}daemon off;\nworker_processes 1;\npid {shown}/nginx.pid;\nerror_log {shown}/log/start.log;\n\
         events {{ worker_connections 256; }}\nhttp {{\n{places}  include {shown}/receiver.conf;\n}}\n"
    )
}

impl Nginx {
    /// In front of `receiver`.
    pub fn start(home: &Home, receiver: &str) -> Nginx {
        // Ports that were free a moment ago: another process may be quicker.
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Nginx::start_on(home, receiver, std::iter::repeat_with(free).take(20))
    }

    /// On the first of the ports that nobody else has.
    pub fn start_on(home: &Home, receiver: &str, ports: impl IntoIterator<Item = u16>) -> Nginx {
        let dir = home.path("nginx");
        std::fs::create_dir_all(dir.join("log")).unwrap();
        let made = rcgen::generate_simple_self_signed([NAME, GUIDE_NAME].map(str::to_owned)).unwrap();
        std::fs::write(dir.join("fullchain.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.join("privkey.pem"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(dir.join("nginx.conf"), around(&dir)).unwrap();
        ports.into_iter().find_map(|port| Nginx::try_on(&dir, receiver, port)).expect("a free port")
    }

    /// `None`: another process has the port.
    fn try_on(dir: &Path, receiver: &str, port: u16) -> Option<Nginx> {
        std::fs::write(dir.join("receiver.conf"), adapted(receiver, port, dir)).unwrap();
        // It binds the port as well.
        let checked = nginx(dir).arg("-t").output().expect("nginx is installed (./test.sh installs it)");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        if said.contains(TAKEN) {
            return None;
        }
        assert!(checked.status.success() && !said.contains("[warn]"), "{said}");
        let mut child = nginx(dir).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let log = || std::fs::read_to_string(dir.join("log/start.log")).unwrap_or_default();
        // The bound is there only so that a broken configuration ends.
        for _ in 0..3000 {
            // Written once the port is its own; to connect alone would prove that somebody has it.
            let is_bound = std::fs::read(dir.join("nginx.pid")).is_ok_and(|pid| !pid.is_empty());
            if is_bound && TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Nginx { child, port, dir: dir.to_owned() });
            }
            if child.try_wait().unwrap().is_some() {
                assert!(log().contains(TAKEN), "nginx ended: {}", log());
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = child.kill();
        panic!("nginx did not become ready");
    }

    /// What curl is told, so that it finds nginx and believes it, whatever the address is called.
    pub fn curl_options(&self) -> String {
        let certificate = self.dir.join("fullchain.pem").display().to_string();
        let to = |name: &str| format!(" --connect-to {name}:443:127.0.0.1:{}", self.port);
        format!("--cacert {certificate}{}{}", to(NAME), to(GUIDE_NAME))
    }

    pub fn post(&self, path: &str, body: &[u8], options: &[&str]) -> Response {
        let file = self.dir.join("body");
        std::fs::write(&file, body).unwrap();
        let mut command = Command::new("curl");
        command.args(["-sS", "--noproxy", "*"]).args(self.curl_options().split(' '));
        command.args(["-i", "-X", "POST", "--data-binary", &format!("@{}", file.display())]);
        // curl asks before it sends much, and waits a second for the answer.
        command
            .args(["-H", "Expect:", "-H", "Content-Type: application/json"])
            .args(options)
            .arg(format!("https://{NAME}{path}"));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (head, body) =
            text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
        Response { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// Everything that nginx has logged, by file.
    pub fn logs(&self) -> Vec<(PathBuf, String)> {
        let files = std::fs::read_dir(self.dir.join("log")).unwrap().map(|entry| entry.unwrap().path());
        files.map(|file| (file.clone(), String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned())).collect()
    }

    /// The lines of the access log, each JSON.
    pub fn accesses(&self) -> Vec<serde_json::Value> {
        let log = std::fs::read_to_string(self.dir.join("log/nightmark.log")).unwrap();
        log.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}

fn nginx(dir: &Path) -> Command {
    let mut command = Command::new("nginx");
    command
        .arg("-c")
        .arg(dir.join("nginx.conf"))
        .arg("-p")
        .arg(dir)
        .env("PATH", "/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
        .stdin(Stdio::null());
    command
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The first process ends the others; killed, it would leave them.
        crate::support::signal(self.child.id(), "TERM");
        let _ = self.child.wait();
    }
}
