//! A server that speaks Postgres's protocol but knows no COPY, as Redshift: a real one behind a link that turns those words into
//! others.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};

/// Words that such a server does not know, and others of the same length that no server knows.
const UNKNOWN: [(&[u8], &[u8]); 2] = [(b"COPY (", b"C0PY ("), (b"set_config(", b"s3t_config(")];

/// Starts the link to the server on this port of loopback. It lasts as long as the process.
pub fn start(server: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass(from, to, changed));
            std::thread::spawn(move || pass(server, client, |_| {}));
        }
    });
    port
}

fn pass(mut from: TcpStream, mut to: TcpStream, change: fn(&mut [u8])) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        change(&mut buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other end may be gone already.
    let _ = to.shutdown(Shutdown::Both);
}

/// A query comes in one piece: it is written at once, and is shorter than the buffer.
fn changed(bytes: &mut [u8]) {
    for (known, unknown) in UNKNOWN {
        while let Some(at) = bytes.windows(known.len()).position(|window| window == known) {
            bytes[at..at + known.len()].copy_from_slice(unknown);
        }
    }
}
