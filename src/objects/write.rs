//! Writing: whole objects, the small ones on condition.

use super::{Fault, Objects, Why};
use object_store::{GetOptions, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, UpdateVersion};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Bytes that are sent at a time. S3 takes 10,000 parts of an object: 160 GB.
const PART: usize = 16 << 20;

/// A version of an object, as its store tells them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(UpdateVersion);

impl Version {
    /// One that no object has.
    pub fn none() -> Self {
        Version(UpdateVersion {
            e_tag: Some("\"00000000000000000000000000000000\"".to_owned()),
            version: Some("1".to_owned()),
        })
    }
}

/// When an object is written.
#[derive(Debug, Clone, Copy)]
pub enum Condition<'a> {
    /// There is none.
    Absent,
    /// It still is of this version.
    Unchanged(&'a Version),
}

impl Objects {
    /// The whole of a small object, and its version; `None` if it is not there.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    pub fn get(&self, path: &str) -> Result<Option<(Vec<u8>, Version)>, Fault> {
        let got = self.runtime.block_on(async {
            let found = self.store.get_opts(&Self::path(path)?, GetOptions::default()).await?;
            let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
            Ok((found.bytes().await?.to_vec(), Version(version)))
        });
        match got {
            Ok(got) => Ok(Some(got)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// Writes a small object, if the condition holds. Returns its new version.
    ///
    /// # Errors
    /// [`Why::Changed`]: it does not hold, or did not after an answer was lost on the way. Whatever else keeps it from being written; it may
    /// have been all the same.
    pub fn put_if(&self, path: &str, content: &[u8], condition: Condition<'_>) -> Result<Version, Fault> {
        let mode = match condition {
            Condition::Absent => PutMode::Create,
            Condition::Unchanged(version) => PutMode::Update(version.0.clone()),
        };
        let put = self.runtime.block_on(async {
            let payload = PutPayload::from(content.to_vec());
            self.store.put_opts(&Self::path(path)?, payload, PutOptions::from(mode)).await
        });
        match put {
            Ok(put) => Ok(Version(UpdateVersion { e_tag: put.e_tag, version: put.version })),
            // What was to be replaced is gone.
            Err(object_store::Error::NotFound { .. }) if matches!(condition, Condition::Unchanged(_)) => {
                Err(Fault { why: Why::Changed, message: "is gone".to_owned(), hint: None })
            }
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// Writes an object from a file, whatever its size, over what may be there.
    ///
    /// # Errors
    /// A file that cannot be read, and whatever keeps it from being written; nothing of it is there then.
    pub fn upload(&self, path: &str, file: &Path) -> Result<(), Fault> {
        let unreadable = |error: std::io::Error| Fault {
            why: Why::Other,
            message: format!("{} cannot be read: {error}", file.display()),
            hint: None,
        };
        let mut file = File::open(file).map_err(unreadable)?;
        let mut next = || {
            let mut part = Vec::new();
            file.by_ref().take(PART as u64).read_to_end(&mut part).map(|_| part).map_err(unreadable)
        };
        let first = next()?;
        self.runtime.block_on(async {
            let path = Self::path(path).map_err(|error| self.fault(&error))?;
            if first.len() < PART {
                return self.store.put(&path, first.into()).await.map(drop).map_err(|error| self.fault(&error));
            }
            let mut upload = self.store.put_multipart(&path).await.map_err(|error| self.fault(&error))?;
            let mut part = first;
            let sent = loop {
                if let Err(error) = upload.put_part(part.into()).await {
                    break Err(self.fault(&error));
                }
                match next() {
                    Ok(more) if more.is_empty() => break Ok(()),
                    Ok(more) => part = more,
                    Err(fault) => break Err(fault),
                }
            };
            let done = match sent {
                Ok(()) => upload.complete().await.map(drop).map_err(|error| self.fault(&error)),
                Err(fault) => Err(fault),
            };
            if done.is_err() {
                // Its parts cost money until they are told to go; that they may not go is not what failed.
                let _ = upload.abort().await;
            }
            done
        })
    }

    /// Removes an object; one that is not there is no error.
    ///
    /// # Errors
    /// Whatever keeps it from being removed.
    pub fn remove(&self, path: &str) -> Result<(), Fault> {
        let removed = self.runtime.block_on(async { self.store.delete(&Self::path(path)?).await });
        match removed {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.fault(&error)),
        }
    }
}
