//! Real servers on loopback: rclone's of S3, HTTP and SFTP, OpenSSH's of SFTP; and a way to them that breaks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The planted credentials of S3.
pub const KEY_ID: &str = "NIGHTMARKTESTKEY";
pub const SECRET: &str = "planted-s3-secret-8d1";

/// A program that ends with the thread that started it.
fn program(name: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]).arg(name);
    command
}

/// A server over a folder of its own.
pub struct Server {
    child: Child,
    pub folder: tempfile::TempDir,
    pub address: SocketAddr,
}

impl Server {
    /// `rclone serve`, whose port is its own choice.
    fn rclone(args: &[&str]) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let python = crate::support::python();
        let rclone = Path::new(python.get_program()).with_file_name("rclone");
        assert!(rclone.is_file(), "{} is missing; run ./test.sh, which installs it", rclone.display());
        let mut command = program(&rclone);
        command.arg("serve").args(args).args([
            "--addr",
            "127.0.0.1:0",
            "--dir-cache-time",
            "0s",
            "--vfs-cache-mode",
            "off",
        ]);
        command.args(["--config", "/dev/null", "--poll-interval", "0"]).arg(folder.path());
        command.env("XDG_CACHE_HOME", folder.path().with_extension("cache"));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(lines.read_line(&mut line).unwrap() > 0, "rclone ended: {told}");
            told += &line;
            let found = line.split_once("127.0.0.1:").map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit));
            if let Some(port) = found.map(Iterator::collect::<String>).filter(|port| !port.is_empty()) {
                break SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
            }
        };
        // What it says later is nobody's, but the pipe must not fill.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        Server { child, folder, address }
    }

    /// S3, with a bucket `lake`.
    pub fn s3() -> Server {
        let server = Server::rclone(&["s3", "--auth-key", &format!("{KEY_ID},{SECRET}")]);
        std::fs::create_dir(server.folder.path().join("lake")).unwrap();
        server
    }

    /// What Google's interface has in common with S3's (lists, and reads of objects by the name of their bucket), with a bucket `lake`. It takes any
    /// credentials, and writes whatever the condition is.
    pub fn google() -> Server {
        let server = Server::rclone(&["s3"]);
        std::fs::create_dir(server.folder.path().join("lake")).unwrap();
        server
    }

    /// HTTP; `args`: more of rclone's.
    pub fn http(args: &[&str]) -> Server {
        Server::rclone(&[&["http"], args].concat())
    }

    /// SFTP with a password.
    pub fn sftp_by_password(user: &str, password: &str) -> Server {
        Server::rclone(&["sftp", "--user", user, "--pass", password])
    }

    /// A file of the server.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and its folders.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

/// Makes a file seem to have been written so long ago.
pub fn age(path: &Path, hours: u64) {
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(hours * 3600);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// OpenSSH's server, which knows one key.
pub struct Sshd {
    child: Child,
    /// Has the keys: `host` and `user` with `.pub`, `known_hosts`; and the files to serve, in `files`.
    pub folder: tempfile::TempDir,
    pub port: u16,
}

impl Sshd {
    pub fn start() -> Sshd {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("files")).unwrap();
        for key in ["host", "user"] {
            keygen(&at(key), "");
        }
        std::fs::copy(at("user.pub"), at("authorized_keys")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let host = std::fs::read_to_string(at("host.pub")).unwrap();
        std::fs::write(at("known_hosts"), format!("# of a test\n[127.0.0.1]:{port} {host}")).unwrap();
        let dir = folder.path().display();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {dir}/host\nAuthorizedKeysFile {dir}/authorized_keys\nStrictModes no\n\
             PidFile none\nUsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             Subsystem sftp internal-sftp\n"
        );
        std::fs::write(at("sshd_config"), config).unwrap();
        // As root it wants this folder, which the system's own service makes.
        let _ = std::fs::create_dir_all("/run/sshd");
        let mut command = program(Path::new("/usr/sbin/sshd"));
        command.args(["-D", "-e", "-f"]).arg(at("sshd_config")).stdin(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("sshd, of openssh-server; run ./test.sh, which installs it");
        let sshd = Sshd { child, folder, port };
        sshd.wait();
        sshd
    }

    fn wait(&self) {
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("sshd does not listen");
    }

    /// A file below its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The address of a file that it serves, by this port.
    pub fn address(&self, port: u16, name: &str) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        format!("sftp://{}@127.0.0.1:{port}{}", user.trim(), self.path("files").join(name).display())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A new key.
pub fn keygen(path: &Path, passphrase: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(path).status();
    assert!(made.expect("ssh-keygen").success());
}

/// A way to a server on which the first connections break once so many bytes have come back.
pub struct Breaking {
    pub address: SocketAddr,
    /// Connections so far.
    pub connections: Arc<AtomicUsize>,
}

impl Breaking {
    /// `breaks`: how many connections break.
    pub fn new(to: SocketAddr, after: u64, breaks: usize) -> Breaking {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let (count, broken) = (Arc::clone(&connections), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(to)) else { continue };
                let broken = Arc::clone(&broken);
                std::thread::spawn(move || pass(&client, &server, after, breaks, &broken));
            }
        });
        Breaking { address, connections }
    }
}

fn pass(client: &TcpStream, server: &TcpStream, after: u64, breaks: usize, broken: &AtomicUsize) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Both);
    });
    let (mut back, mut to, mut passed, mut piece) = (server, client, 0, [0; 4096]);
    while let Ok(read) = back.read(&mut piece) {
        passed += read as u64;
        let cut = passed > after && broken.fetch_add(1, Ordering::SeqCst) < breaks;
        if read == 0 || cut || to.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
    let _ = server.shutdown(std::net::Shutdown::Both);
}
