//! A bucket of an object store, or a server of HTTP, as a place.

use super::place::{Broken, Place};
use crate::objects::{Fault, Objects, Why};
use crate::source::SourceError;
use crate::source::pick::Found;
use crate::source::pick::walk::Listing;
use chrono::{DateTime, Utc};
use object_store::ObjectMeta;
use std::collections::BTreeMap;
use std::ops::Range;

/// A bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    objects: Objects,
}

impl Bucket {
    /// Opens the bucket of an address; returns the path or pattern in it too.
    pub(super) fn open(
        address: &str,
        settings: &BTreeMap<String, String>,
        secrets: Vec<String>,
    ) -> Result<(Self, String), SourceError> {
        let opened = Objects::open(address, settings, secrets);
        let (objects, path) = opened.map_err(|fault| error("source.options", &fault))?;
        Ok((Bucket { objects }, path))
    }

    fn error(&self, path: &str, fault: &Fault) -> SourceError {
        error(&self.objects.shown(path), fault)
    }
}

fn error(what: &str, fault: &Fault) -> SourceError {
    let error = SourceError::new(format!("{what}: {}", fault.message));
    match fault.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn found(meta: ObjectMeta) -> Found {
    // A server that does not say when has the beginning of 1970.
    let modified = Some(meta.last_modified).filter(|at| at.timestamp() != 0);
    let tag = meta.e_tag.map(|tag| quoted(&tag));
    Found { name: meta.location.as_ref().to_owned(), length: meta.size, modified, tag }
}

/// Some servers' lists leave out the quotes that belong to a tag.
fn quoted(tag: &str) -> String {
    let is_quoted = tag.starts_with('"') || tag.starts_with("W/");
    if is_quoted { tag.to_owned() } else { format!("\"{tag}\"") }
}

impl Place for Bucket {
    fn now(&self) -> Option<DateTime<Utc>> {
        self.objects.now()
    }

    fn look(&self, path: &str) -> Result<Option<Found>, SourceError> {
        let meta = self.objects.look(path).map_err(|fault| self.error(path, &fault))?;
        Ok(meta.map(found))
    }

    fn list(&self, folder: &str) -> Result<Listing, SourceError> {
        let (files, folders) = self.objects.list(folder).map_err(|fault| self.error(folder, &fault))?;
        let name = |path: String| path.rsplit('/').next().unwrap_or(&path).to_owned();
        Ok(Listing { files: files.into_iter().map(found).collect(), folders: folders.into_iter().map(name).collect() })
    }

    fn read(
        &self,
        file: &Found,
        part: Range<u64>,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), SourceError>,
    ) -> Result<(), Broken> {
        let part = (part.start, Some(part.end).filter(|end| *end < file.length));
        match self.objects.read_part(&file.name, file.tag.as_deref(), part, sink) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(ended)) => Err(Broken::Lasting(ended)),
            Err(fault) if matches!(fault.why, Why::Changed | Why::Missing) => {
                Err(Broken::Lasting(super::copy::changed(self, file)))
            }
            Err(fault) if fault.why == Why::Passing => Err(Broken::Passing(self.error(&file.name, &fault))),
            Err(fault) => Err(Broken::Lasting(self.error(&file.name, &fault))),
        }
    }

    /// A server of HTTP may know neither tags nor parts.
    fn has_parts(&self) -> bool {
        self.objects.keeps_versions()
    }

    fn keeps_versions(&self) -> bool {
        self.objects.keeps_versions()
    }

    fn shown(&self, path: &str) -> String {
        self.objects.shown(path)
    }
}
