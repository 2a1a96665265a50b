//! A connection that can be cut.

use std::io::copy;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// Stands before a server on loopback.
pub struct Proxy {
    pub port: u16,
    ends: Arc<Mutex<Vec<TcpStream>>>,
    closed: Arc<AtomicBool>,
}

impl Proxy {
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy { port: listener.local_addr().unwrap().port(), ends: Arc::default(), closed: Arc::default() };
        let (ends, closed) = (Arc::clone(&proxy.ends), Arc::clone(&proxy.closed));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), false) = (client, closed.load(Ordering::SeqCst)) else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { return };
                ends.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || copy(&mut from, &mut to));
                let (mut from, mut to) = (server, client);
                std::thread::spawn(move || copy(&mut from, &mut to));
            }
        });
        proxy
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

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}
