//! A destination that misbehaves by script, over raw TCP, because HTTP servers are too polite.
//!
//! In: a script, which says for every request ([`Asked`]: its org, how many came before it) what is done with it
//! ([`Plan`]): whether it is applied, and how the connection goes on ([`Act`]). Out: a [`Record`] of what was received and
//! applied, in order, and the state that a real destination would have: per org the last body that was applied.
//! Always holds: a request is recorded before anything is answered, and it is applied, if at all, at that same moment and
//! under the same lock, so the order of the record is the order of the state; a request whose body did not arrive whole is
//! never applied; the destination outlives its clients, however they end, and [`Faulty::quiesce`] returns only when nothing
//! that a dead client has written can still arrive.
//! Deliberately absent: any judgement of what the client should have done. That is for the tests.

mod act;
mod connection;
mod outcomes;
mod record;
mod wire;

pub use act::{Act, Answer, End, Plan, Stage};
pub use record::{Entry, Record};

use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;

/// What a script is told about a request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub org: String,
    /// How many requests of this org came before it, over the life of the destination.
    pub nth: usize,
    /// How many came before it in all.
    pub number: usize,
}

/// How connections are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Requests are read and answered by the script.
    Http,
    /// The connection is reset before a byte of it is read.
    ResetAtAccept,
    /// The connection is closed as soon as the first bytes are there: a TLS handshake that ends in nothing.
    CloseAtHello,
    /// The first bytes are answered in plain HTTP, as a server does that is spoken to in TLS and knows none.
    PlainAtHello,
}

pub type Script = dyn Fn(&Asked) -> Plan + Send + Sync;

struct Shared {
    manner: Manner,
    script: Mutex<Arc<Script>>,
    record: Mutex<Record>,
    /// Connections that are open, and who waits for the last of them to end.
    open: Mutex<usize>,
    changed: Condvar,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, change: isize) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        *open = open.checked_add_signed(change).expect("no connection ends twice");
        self.changed.notify_all();
    }
}

/// A faulty destination on loopback with a runtime of its own.
pub struct Faulty {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Faulty {
    pub fn start(script: impl Fn(&Asked) -> Plan + Send + Sync + 'static) -> Self {
        Self::with_manner(Manner::Http, script)
    }

    pub fn with_manner(manner: Manner, script: impl Fn(&Asked) -> Plan + Send + Sync + 'static) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            manner,
            script: Mutex::new(Arc::new(script)),
            record: Mutex::default(),
            open: Mutex::new(0),
            changed: Condvar::new(),
        });
        runtime.spawn(accept(listener, Arc::clone(&shared)));
        Faulty { address, shared, runtime: Some(runtime) }
    }

    /// From now on the script is another one.
    pub fn script(&self, script: impl Fn(&Asked) -> Plan + Send + Sync + 'static) {
        *self.shared.script.lock().unwrap() = Arc::new(script);
    }

    /// The script as it is now.
    pub fn current(&self) -> Arc<Script> {
        Arc::clone(&self.shared.script.lock().unwrap())
    }

    /// What came since the beginning, in order.
    pub fn entries(&self) -> Vec<Entry> {
        self.shared.record().entries.clone()
    }

    /// How many requests came so far.
    pub fn len(&self) -> usize {
        self.shared.record().entries.len()
    }

    /// Everything that was received and applied is forgotten.
    pub fn forget(&self) {
        *self.shared.record() = Record::default();
    }

    /// Requests from now on belong to the next process.
    pub fn next_era(&self) -> usize {
        let mut record = self.shared.record();
        record.era += 1;
        record.era
    }

    /// Per org the last body that was applied; a removal takes the org away.
    pub fn state(&self) -> BTreeMap<String, Value> {
        self.shared.record().state.clone()
    }

    /// Returns when every connection that was made before this call has ended, and with it everything that a client that is
    /// gone has sent.
    pub fn quiesce(&self) {
        // Connections are accepted in the order in which they were made: when this one is, all earlier ones are counted.
        let mut probe = TcpStream::connect(self.address).unwrap();
        probe.write_all(connection::PROBE).unwrap();
        let _ = probe.read(&mut [0]);
        drop(probe);
        let mut open = self.shared.open.lock().unwrap();
        while *open > 0 {
            open = self.shared.changed.wait(open).unwrap();
        }
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        shared.count(1);
        let (shared, connection) = (Arc::clone(&shared), number);
        number += 1;
        tokio::spawn(async move {
            connection::serve(stream, connection, &shared).await;
            shared.count(-1);
        });
    }
}
