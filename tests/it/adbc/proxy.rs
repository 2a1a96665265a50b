//! A connection that can be held up and cut.

use std::io::{Read as _, Write as _, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// After so many bytes from the server a connection is held up.
const HELD: usize = 1 << 20;

/// Stands before a server on loopback.
pub struct Proxy {
    pub port: u16,
    ends: Arc<Mutex<Vec<TcpStream>>>,
    closed: Arc<AtomicBool>,
    holds: Arc<AtomicBool>,
    /// Bytes that the server has sent.
    pub passed: Arc<AtomicUsize>,
}

impl Proxy {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port_here = listener.local_addr().unwrap().port();
        let (ends, passed) = (Arc::default(), Arc::default());
        let proxy = Proxy { port: port_here, ends, closed: Arc::default(), holds: Arc::default(), passed };
        let (ends, closed) = (Arc::clone(&proxy.ends), Arc::clone(&proxy.closed));
        let (holds, all) = (Arc::clone(&proxy.holds), Arc::clone(&proxy.passed));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), false) = (client, closed.load(Ordering::SeqCst)) else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
                ends.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || {
                    let _ = copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
                let (holds, closed, all) = (Arc::clone(&holds), Arc::clone(&closed), Arc::clone(&all));
                std::thread::spawn(move || back(server, client, (&holds, &closed), &all));
            }
        });
        proxy
    }

    /// From now on a connection passes the first megabyte from the server on, and then nothing more until it is cut.
    pub fn hold(&self) {
        self.holds.store(true, Ordering::SeqCst);
    }

    /// Cuts what there is; nothing is let through any more.
    pub fn cut(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for end in self.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn back(mut server: TcpStream, mut client: TcpStream, (holds, closed): (&AtomicBool, &AtomicBool), all: &AtomicUsize) {
    let (mut passed, mut piece) = (0, vec![0; 1 << 16]);
    while let Ok(read @ 1..) = server.read(&mut piece) {
        passed += read;
        all.fetch_add(read, Ordering::SeqCst);
        while passed > HELD && holds.load(Ordering::SeqCst) && !closed.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        if client.write_all(&piece[..read]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Write);
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}
