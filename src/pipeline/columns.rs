//! What each column of an extract is for, by the job and by what is pinned.

use super::PipelineError;
use crate::job::since::NOT_GONE;
use crate::job::spec::{Baseline, Job};
use crate::row::{Compared, Schema};
use crate::snapshot::{Manifest, RESERVED_PREFIX};
use std::path::Path;

/// The column rules of one job.
#[derive(Debug, Clone, Copy)]
pub(super) struct Columns<'a> {
    pub(super) job: &'a Job,
    /// The published snapshot, if there is one.
    pub(super) manifest: Option<&'a Manifest>,
    /// The job's snapshot folder, for messages.
    pub(super) dir: &'a Path,
}

impl Columns<'_> {
    pub(super) fn is_key(&self, name: &str) -> bool {
        self.job.diff.key.iter().any(|c| c == name)
    }

    pub(super) fn is_ignored(&self, name: &str) -> bool {
        self.job.diff.ignore.iter().any(|c| c == name)
    }

    pub(super) fn is_compared(&self, name: &str) -> bool {
        let listed = self.job.diff.compare.as_ref().is_none_or(|list| list.iter().any(|c| c == name));
        listed && !self.is_ignored(name) && !self.is_key(name)
    }

    /// `key`, `compared`, `payload-only` or `ignored`.
    pub(super) fn purpose(&self, name: &str) -> &'static str {
        if self.is_key(name) {
            "key"
        } else if self.is_compared(name) {
            "compared"
        } else if self.is_ignored(name) {
            "ignored"
        } else {
            "payload-only"
        }
    }

    /// All columns that the job names and the extract lacks, at once, and what may not be compared. `partial`: whether the extract
    /// has only the orgs that have changed.
    pub(super) fn check(&self, schema: &Schema, partial: bool) -> Result<(), PipelineError> {
        let diff = &self.job.diff;
        let formed: Vec<String> = diff.columns.keys().cloned().collect();
        let named = [
            ("diff.key", Some(&diff.key)),
            ("diff.compare", diff.compare.as_ref()),
            ("diff.ignore", Some(&diff.ignore)),
            ("diff.columns", Some(&formed)),
        ];
        let mut problems = Vec::new();
        for (field, names) in named {
            let missing = names.into_iter().flatten().filter(|name| schema.index_of(name).is_none());
            problems.extend(missing.map(|name| self.missing(field, name, schema)));
        }
        for column in schema.columns.iter().filter(|c| c.name.starts_with(RESERVED_PREFIX)) {
            problems.push(format!("column `{}`: names that begin with {RESERVED_PREFIX} are reserved", column.name));
        }
        problems.extend(self.manifest.filter(|m| m.key != diff.key).map(|manifest| {
            format!(
                "{}: diff.key is {} and the snapshot is keyed by {}; orgs cannot be matched. Set the key back, or move {} \
                 away to start anew with first_run",
                self.job.file.display(),
                diff.key.join(", "),
                manifest.key.join(", "),
                self.dir.display()
            )
        }));
        // Said of a query in the job file as soon as that is read; this one stands in another file.
        problems
            .extend((partial && diff.on.removed).then(|| format!("{}: diff.on: {NOT_GONE}", self.job.file.display())));
        if problems.is_empty() { Ok(()) } else { Err(PipelineError::Columns(problems)) }
    }

    fn missing(&self, field: &str, name: &str, schema: &Schema) -> String {
        let names = schema.names();
        let near = names.iter().map(|n| (strsim::jaro_winkler(n, name), n)).max_by(|a, b| a.0.total_cmp(&b.0));
        let hint = match near.filter(|(likeness, _)| *likeness > 0.8) {
            Some((_, near)) => format!("did you mean `{near}`?"),
            None => format!("it has: {}", names.join(", ")),
        };
        format!("{}: {field} names `{name}`, which the extract does not have; {hint}", self.job.file.display())
    }

    /// Key columns in the job's order, then compared ones in the extract's.
    pub(super) fn before_schema(&self, schema: &Schema) -> Schema {
        let of_key = self.job.diff.key.iter().filter_map(|k| schema.index_of(k).map(|i| schema.columns[i].clone()));
        let compared = schema.columns.iter().filter(|c| self.is_compared(&c.name)).cloned();
        Schema { columns: of_key.chain(compared).collect() }
    }

    /// The compared columns of a schema that has the key first, with the forms that the job gives them.
    pub(super) fn compared(&self, before: &Schema) -> Result<Vec<Compared>, PipelineError> {
        let diff = &self.job.diff;
        let (mut problems, mut compared) = (Vec::new(), Vec::new());
        for column in &before.columns[diff.key.len().min(before.columns.len())..] {
            let form = diff.columns.get(&column.name).cloned().unwrap_or_default();
            if let Err(problem) = form.fits(column.kind) {
                problems.push(format!("{}: diff.columns.{}: {problem}", self.job.file.display(), column.name));
            }
            compared.push(Compared { name: column.name.clone(), kind: column.kind, form });
        }
        if problems.is_empty() { Ok(compared) } else { Err(PipelineError::Columns(problems)) }
    }

    /// The positions of the compared columns that are new tonight and adopted instead of sent.
    pub(super) fn adopted(&self, compared: &[Compared]) -> Vec<usize> {
        let Some(manifest) = self.manifest.filter(|_| self.job.diff.on_new_column == Baseline::Adopt) else {
            return Vec::new();
        };
        let is_new = |c: &usize| !manifest.compared.iter().any(|then| then.name == compared[*c].name);
        (0..compared.len()).filter(is_new).collect()
    }
}
