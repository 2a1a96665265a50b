//! Object stores and single files behind HTTP, reached by the `object_store` crate.
//!
//! In: an address such as `s3://bucket/…` and settings, over those of the environment (`AWS_*`, `GOOGLE_*`, `AZURE_*`). Out: an
//! [`Objects`], whose calls block, or a [`Fault`] in our words. Callers run it off the async threads.
//!
//! Always holds: no value of a setting and no query of an address stands in a fault; a request that gets no answer for a minute has
//! failed; what failed on the way is tried again a few times. Over HTTP, a server that another one sends us on to is told neither the credentials nor the
//! address.
//!
//! Deliberately absent: which objects, and what becomes of them.
//!
//! Reading is here; `write` writes, on condition where two may do so.

mod build;
mod client;
mod fault;
mod runtime;
mod said;
mod time;
mod write;

pub use fault::{Fault, Why};
pub use write::{Condition, Version};

use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore};
use runtime::Runtime;
use std::collections::BTreeMap;
use std::sync::Arc;
use time::ServerTime;

/// A bucket, a container, or a server of HTTP.
#[derive(Debug)]
pub struct Objects {
    runtime: Runtime,
    store: Arc<dyn ObjectStore>,
    /// How it reads before a path, such as `s3://bucket`.
    root: String,
    secrets: Vec<String>,
    time: ServerTime,
    /// Over HTTP there is no list, and a signed address may allow GET only.
    is_http: bool,
}

impl Objects {
    /// Opens the store of an address; nothing is asked of it yet. Returns the path in it too. `secrets`: what is not to be shown.
    ///
    /// # Errors
    /// An address that is none, settings that contradict each other.
    pub fn open(
        address: &str,
        settings: &BTreeMap<String, String>,
        secrets: Vec<String>,
    ) -> Result<(Objects, String), Fault> {
        let failed = |message: String| Fault { why: Why::Other, message, hint: None };
        let runtime = Runtime::new().map_err(|e| failed(format!("cannot be begun: {e}")))?;
        let built = {
            // Clients are made within the runtime that they run on.
            let _inside = runtime.enter();
            build::store(address, settings).map_err(|error| fault::of(&error, address, &secrets))?
        };
        let build::Built { store, root, path, is_http, time } = built;
        Ok((Objects { runtime, store, root, secrets, time, is_http }, path))
    }

    /// Whether an object that is written anew goes on to be sent as it was to whoever is reading it: a server of HTTP may send a file that is just
    /// being written.
    pub fn keeps_versions(&self) -> bool {
        !self.is_http
    }

    /// What time it is by the store, as far as its answers have said so.
    pub fn now(&self) -> Option<DateTime<Utc>> {
        self.time.now()
    }

    /// How a path reads in messages.
    pub fn shown(&self, path: &str) -> String {
        format!("{}/{}", self.root, path)
    }

    /// What is known of an object; `None` if it is not there.
    ///
    /// # Errors
    /// Whatever keeps it from being known.
    pub fn look(&self, path: &str) -> Result<Option<ObjectMeta>, Fault> {
        let options = GetOptions { head: !self.is_http, ..GetOptions::default() };
        let found = self.runtime.block_on(async { self.store.get_opts(&Self::path(path)?, options).await });
        match found {
            Ok(found) => Ok(Some(found.meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.fault(&error)),
        }
    }

    /// The objects in a folder, and the paths of the folders in it.
    ///
    /// # Errors
    /// Whatever keeps it from being listed; the folder need not be there.
    pub fn list(&self, folder: &str) -> Result<(Vec<ObjectMeta>, Vec<String>), Fault> {
        let listed = self.runtime.block_on(async {
            let folder = Self::path(folder)?;
            self.store.list_with_delimiter((!folder.as_ref().is_empty()).then_some(&folder)).await
        });
        let listed = listed.map_err(|error| self.fault(&error))?;
        let folders = listed.common_prefixes.iter().map(|path| path.as_ref().to_owned()).collect();
        Ok((listed.objects, folders))
    }

    /// Hands the content from byte `from` on to `sink`, piece by piece, only while the object has this tag (if one is given). Returns
    /// what `sink` made it end with, if it did.
    ///
    /// # Errors
    /// Whatever keeps it from being read on; [`Why::Changed`]: it has another tag now.
    pub fn read<E>(
        &self,
        path: &str,
        tag: Option<&str>,
        from: u64,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, Fault> {
        self.read_part(path, tag, (from, None), sink)
    }

    /// The same up to an end, if there is one: the first byte that is not handed on.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_part<E>(
        &self,
        path: &str,
        tag: Option<&str>,
        part: (u64, Option<u64>),
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Result<(), E>, Fault> {
        self.runtime.block_on(async {
            let path = Self::path(path).map_err(|error| self.fault(&error))?;
            // A weak tag never matches: it does not say that the bytes are the same.
            let if_match = tag.filter(|tag| !tag.starts_with("W/")).map(str::to_owned);
            let options = GetOptions { if_match, ..GetOptions::default() };
            let (found, mut skip) = self.get_part(&path, options, part).await.map_err(|error| self.fault(&error))?;
            // There are servers that do not look at If-Match.
            let bare = |tag: &str| tag.trim_matches('"').to_owned();
            if tag.is_some_and(|tag| found.meta.e_tag.as_deref().map(bare) != Some(bare(tag))) {
                return Err(Fault { why: Why::Changed, message: "has changed".to_owned(), hint: None });
            }
            let mut left = part.1.map_or(u64::MAX, |end| end.saturating_sub(part.0));
            let mut pieces = found.into_stream();
            while left > 0
                && let Some(piece) = pieces.next().await
            {
                let piece = piece.map_err(|error| self.fault(&error))?;
                let rest = cut(&piece, &mut skip, &mut left);
                if let Err(ended) = sink(rest) {
                    return Ok(Err(ended));
                }
            }
            Ok(Ok(()))
        })
    }

    /// Asks for a part. Returns also how many bytes stand before it in what comes.
    async fn get_part(
        &self,
        path: &Path,
        options: GetOptions,
        part: (u64, Option<u64>),
    ) -> Result<(GetResult, u64), object_store::Error> {
        let range = match part {
            (0, None) => return Ok((self.store.get_opts(path, options).await?, 0)),
            (from, None) => GetRange::Offset(from),
            (from, Some(end)) => GetRange::Bounded(from..end),
        };
        let ranged = GetOptions { range: Some(range), ..options.clone() };
        match self.store.get_opts(path, ranged).await {
            // A server that knows no ranges, or not these, sends everything.
            Err(error) if fault::is_of_parts(&error) => Ok((self.store.get_opts(path, options).await?, part.0)),
            ranged => Ok((ranged?, 0)),
        }
    }

    fn path(path: &str) -> Result<Path, object_store::Error> {
        Ok(Path::parse(path)?)
    }

    fn fault(&self, error: &object_store::Error) -> Fault {
        fault::of(error, &self.root, &self.secrets)
    }
}

/// What of a piece is wanted: not the first `skip` bytes, and of the others at most `left`.
fn cut<'p>(piece: &'p [u8], skip: &mut u64, left: &mut u64) -> &'p [u8] {
    let passed = (*skip).min(piece.len() as u64);
    *skip -= passed;
    let rest = piece.get(usize::try_from(passed).unwrap_or(usize::MAX)..).unwrap_or_default();
    let rest = rest.get(..usize::try_from(*left).unwrap_or(usize::MAX)).unwrap_or(rest);
    *left -= rest.len() as u64;
    rest
}
