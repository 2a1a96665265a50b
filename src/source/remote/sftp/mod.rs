//! A server of SFTP as a place.
//!
//! In: `sftp://USER@HOST[:PORT]/PATH` (from the server's root; `/~/PATH` from the user's own folder) and settings. The server is known
//! by its host key (`known`), the user by a key, a password or the agent (`session`). A connection that breaks is made anew by the next
//! call.

mod known;
mod session;

use super::place::{Broken, Place};
use crate::source::SourceError;
use crate::source::pick::Found;
use crate::source::pick::walk::Listing;
use chrono::{DateTime, Utc};
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::client::fs::Metadata;
use russh_sftp::protocol::StatusCode;
pub(super) use session::Login;
use session::Session;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::runtime::Runtime;

/// So long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes at a time.
const PIECE: usize = 1 << 18;

/// A server.
pub(super) struct Sftp {
    login: Login,
    /// `/`, or empty: from the user's own folder.
    base: &'static str,
    runtime: Runtime,
    session: Mutex<Option<Session>>,
}

impl Sftp {
    /// Nothing is connected to yet. Returns the path or pattern on the server too.
    pub(super) fn new(
        address: &str,
        settings: &BTreeMap<String, String>,
        home: &Path,
    ) -> Result<(Self, String), SourceError> {
        let rest = address.strip_prefix("sftp://").unwrap_or(address);
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let login = Login::new(authority, settings, home)?;
        let (base, path) = match path.strip_prefix("~/") {
            Some(path) => ("", path),
            None => ("/", path),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| SourceError::new(format!("SFTP cannot be begun: {e}")))?;
        Ok((Sftp { login, base, runtime, session: Mutex::new(None) }, path.to_owned()))
    }

    /// The path as the server takes it.
    fn there(&self, path: &str) -> String {
        match (self.base, path) {
            ("", "") => ".".to_owned(),
            (base, path) => format!("{base}{path}"),
        }
    }

    /// Does something over the connection, which is made if there is none, and thrown away if it failed.
    fn with<T>(
        &self,
        path: &str,
        work: impl AsyncFnOnce(&Session) -> Result<T, SftpError>,
    ) -> Result<Result<T, SftpError>, SourceError> {
        let mut kept = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        self.runtime.block_on(async {
            let session = match kept.take() {
                Some(session) => session,
                None => self.login.connect().await?,
            };
            let done = work(&session).await;
            match &done {
                Ok(_) => *kept = Some(session),
                // The server has answered: the connection is sound.
                Err(SftpError::Status(_)) => *kept = Some(session),
                Err(_) => tracing::debug!(event = "sftp_given_up", path, "the connection of SFTP is given up"),
            }
            Ok(done)
        })
    }

    /// The same, twice where the connection was found broken: it may have been idle for long.
    fn ask<T>(
        &self,
        path: &str,
        work: impl AsyncFn(&Session) -> Result<T, SftpError>,
    ) -> Result<Option<T>, SourceError> {
        let mut last = None;
        for _ in 0..2 {
            match self.with(path, async |session| work(session).await)? {
                Ok(value) => return Ok(Some(value)),
                Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => return Ok(None),
                Err(error @ SftpError::Status(_)) => return Err(self.error(path, &error)),
                Err(error) => last = Some(self.error(path, &error)),
            }
        }
        Err(last.unwrap_or_else(|| SourceError::new("SFTP was not asked")))
    }

    fn error(&self, path: &str, error: &SftpError) -> SourceError {
        let what = self.shown(path);
        match error {
            SftpError::Status(status) if status.status_code == StatusCode::PermissionDenied => {
                SourceError::new(format!("{what}: permission denied"))
                    .hint("the user of source.path must be allowed to read the file and to list its folder")
            }
            SftpError::Status(status) => SourceError::new(format!("{what}: the server says: {}", status.error_message)),
            SftpError::Timeout => SourceError::new(format!("{what}: the server does not answer")),
            _ => SourceError::new(format!("{what}: the connection to the server is broken")),
        }
    }

    /// Reads a part. What `sink` ends with comes back inside.
    async fn stream(
        &self,
        session: &Session,
        file: &Found,
        part: Range<u64>,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), SourceError>,
    ) -> Result<Result<(), SourceError>, SftpError> {
        let mut open = session.sftp.open(self.there(&file.name)).await?;
        // The handle stays with this file, even if another takes its name.
        if open.metadata().await.map(|now| found(&file.name, &now))? != *file {
            return Ok(Err(super::copy::changed(self, file)));
        }
        open.seek(std::io::SeekFrom::Start(part.start)).await?;
        let mut piece = vec![0; PIECE];
        let mut left = if part.end < file.length { part.end - part.start } else { u64::MAX };
        while left > 0 {
            let most = usize::try_from(left).map_or(PIECE, |left| left.min(PIECE));
            let reading = open.read(&mut piece[..most]);
            let read = tokio::time::timeout(SILENCE, reading).await.map_err(|_| SftpError::Timeout)??;
            if read == 0 {
                break;
            }
            left -= read as u64;
            if let Err(ended) = sink(&piece[..read]) {
                return Ok(Err(ended));
            }
        }
        let after = open.metadata().await.map(|now| found(&file.name, &now))?;
        Ok(if after == *file { Ok(()) } else { Err(super::copy::changed(self, file)) })
    }
}

/// The server says when a file was changed to the second.
fn found(name: &str, metadata: &Metadata) -> Found {
    let modified = metadata.mtime.and_then(|seconds| DateTime::<Utc>::from_timestamp(i64::from(seconds), 0));
    Found { name: name.to_owned(), length: metadata.size.unwrap_or(0), modified, tag: None }
}

impl Place for Sftp {
    fn look(&self, path: &str) -> Result<Option<Found>, SourceError> {
        let there = self.there(path);
        let metadata = self.ask(path, async |session| session.sftp.metadata(there.clone()).await)?;
        match metadata {
            Some(metadata) if metadata.is_dir() => {
                Err(SourceError::new(format!("{} is a folder, not a file", self.shown(path)))
                    .hint("name its files, such as with `/*.csv` behind it"))
            }
            metadata => Ok(metadata.map(|metadata| found(path, &metadata))),
        }
    }

    fn list(&self, folder: &str) -> Result<Listing, SourceError> {
        let there = self.there(folder);
        let Some(entries) = self.ask(folder, async |session| session.sftp.read_dir(there.clone()).await)? else {
            return Ok(Listing::default());
        };
        let mut listing = Listing::default();
        for entry in entries {
            let name = entry.file_name();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let mut metadata = entry.metadata();
            if metadata.is_symlink() {
                // What it points to; nothing, if that is gone.
                let there = self.there(&path);
                match self.ask(&path, async |session| session.sftp.metadata(there.clone()).await)? {
                    Some(target) => metadata = target,
                    None => continue,
                }
            }
            match () {
                () if metadata.is_dir() => listing.folders.push(name),
                () if metadata.is_regular() || metadata.permissions.is_none() => {
                    listing.files.push(found(&path, &metadata))
                }
                // A pipe, a device.
                () => {}
            }
        }
        Ok(listing)
    }

    fn read(
        &self,
        file: &Found,
        part: Range<u64>,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), SourceError>,
    ) -> Result<(), Broken> {
        match self.with(&file.name, async |session| self.stream(session, file, part, sink).await) {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(ended))) => Err(Broken::Lasting(ended)),
            Ok(Err(error @ SftpError::Status(_))) => Err(Broken::Lasting(self.error(&file.name, &error))),
            Ok(Err(error)) => Err(Broken::Passing(self.error(&file.name, &error))),
            // The server was there when it was looked at: it may be there again.
            Err(error) => Err(Broken::Passing(error)),
        }
    }

    /// The library asks for megabytes behind what is wanted as well, so that many small parts are no less than the whole.
    fn has_parts(&self) -> bool {
        false
    }

    fn shown(&self, path: &str) -> String {
        let own = if self.base.is_empty() { "~/" } else { "" };
        format!("sftp://{}/{own}{path}", self.login.shown())
    }
}
