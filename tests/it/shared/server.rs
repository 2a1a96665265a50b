//! A real store of the S3 protocol that keeps conditions of writes (moto's), and a way to it that holds a request up or loses its answer.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

/// Somebody, whose signature is not looked at.
const AUTHORIZATION: &str = "authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n";

/// The server, with an empty bucket `lake`.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    pub fn start() -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let python = crate::support::python();
        // It ends with the thread that started it.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(python.get_program());
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let server = Server { child, address: SocketAddr::from(([127, 0, 0, 1], port)) };
        // The bound is there only so that a broken installation ends.
        for _ in 0..6000 {
            if TcpStream::connect(server.address).is_ok() {
                assert_eq!(server.request("PUT", "", b"").0, 200);
                return server;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("moto's server does not answer; ./test.sh installs it");
    }

    /// A request for an object of the bucket: status and body.
    pub fn request(&self, method: &str, name: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let head = format!(
            "{method} /lake/{name} HTTP/1.1\r\nhost: {}\r\n{AUTHORIZATION}content-length: {}\r\nconnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{text}"));
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        (status, answer.split_off(end))
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        let (status, list) = self.request("GET", "?list-type=2", b"");
        assert_eq!(status, 200);
        let list = String::from_utf8(list).unwrap();
        list.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap().to_owned()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What becomes of the first request whose head begins with the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It waits until it is let go.
    Held,
    /// It arrives, and its answer does not come back.
    Unanswered,
}

struct State {
    mark: Vec<u8>,
    fate: Fate,
    /// The request has come.
    come: bool,
    /// It may go on.
    free: bool,
}

/// A way to a server.
pub struct Way {
    pub address: SocketAddr,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Way {
    /// `mark`: the beginning of a request, such as `PUT /lake/x `.
    pub fn new(to: SocketAddr, mark: &str, fate: Fate) -> Way {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { mark: mark.as_bytes().to_vec(), fate, come: false, free: false };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let of_all = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(to) else { return };
                let state = Arc::clone(&of_all);
                std::thread::spawn(move || there(client, server, &state));
            }
        });
        Way { address, state }
    }

    /// Waits until the request has come.
    pub fn wait(&self) {
        let (state, changed) = &*self.state;
        drop(changed.wait_while(state.lock().unwrap(), |state| !state.come).unwrap());
    }

    /// Lets it go on.
    pub fn free(&self) {
        let (state, changed) = &*self.state;
        state.lock().unwrap().free = true;
        changed.notify_all();
    }
}

fn there(mut client: TcpStream, mut server: TcpStream, state: &(Mutex<State>, Condvar)) {
    let answers = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let is_lost = Arc::new(Mutex::new(false));
    let lost = Arc::clone(&is_lost);
    std::thread::spawn(move || back(answers.0, answers.1, &lost));
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = client.read(&mut buffer) {
        let (lock, changed) = state;
        let mut state = lock.lock().unwrap();
        if !state.come && buffer[..read].starts_with(&state.mark) {
            state.come = true;
            changed.notify_all();
            match state.fate {
                Fate::Held => drop(changed.wait_while(state, |state| !state.free).unwrap()),
                Fate::Unanswered => {
                    *is_lost.lock().unwrap() = true;
                    drop(state);
                }
            }
        } else {
            drop(state);
        }
        if server.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

fn back(mut server: TcpStream, mut client: TcpStream, is_lost: &Mutex<bool>) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        if *is_lost.lock().unwrap() || client.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}
