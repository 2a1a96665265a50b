//! Who else may read secrets, or change what is run.

use super::Finding;
use crate::config::{Home, Settings};
use crate::job::spec::{Job, Part, Templated};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const AREA: &str = "rights";

/// On Unix; elsewhere rights are not looked at.
pub(super) fn look(home: &Home, settings: &Settings, jobs: &[Arc<Job>]) -> Vec<Finding> {
    let dir = home.dir();
    let mut found = Vec::new();
    for path in [dir.to_owned(), home.jobs(), dir.join("snapshots"), home.settings_file()] {
        found.extend(changed_by_others(&path));
    }
    found.extend(jobs.iter().filter_map(|job| changed_by_others(&dir.join(&job.file))));
    found.extend(secret_files(home, settings, jobs).iter().filter_map(|path| read_by_others(path)));
    let database = home.database();
    found.extend(read_by_others(&database).map(|finding| Finding {
        what: format!("{} can be read by everybody on this machine; values of orgs stand in it", database.display()),
        ..finding
    }));
    found.extend(other_user(dir));
    if found.is_empty() {
        found.push(Finding::ok(AREA, "files", "secrets are read, and jobs are changed, by nobody else"));
    }
    found
}

/// Everything that may refer to secrets, each with its field.
pub(super) fn templated<'a>(settings: &'a Settings, jobs: &'a [Arc<Job>]) -> Vec<(String, &'a Templated)> {
    let mut all: Vec<(String, &Templated)> = vec![("store.url".to_owned(), &settings.store.url)];
    all.extend(settings.admin.token.as_ref().map(|token| ("admin.token".to_owned(), token)));
    all.extend(settings.alerts.webhook.as_ref().map(|url| ("alerts.webhook".to_owned(), url)));
    all.extend(settings.alerts.email.as_ref().map(|email| ("alerts.email.server".to_owned(), &email.server)));
    if let Some(shared) = &settings.snapshots.shared {
        all.push(("snapshots.url".to_owned(), &shared.address));
        all.extend(shared.options.iter().map(|(name, value)| (format!("snapshots.options.{name}"), value)));
    }
    for job in jobs {
        all.extend(of_job(job));
    }
    all
}

/// The same of one job.
pub(super) fn of_job(job: &Job) -> Vec<(String, &Templated)> {
    let ping = job.alerts.ping_url.iter().map(|url| ("alerts.ping_url".to_owned(), url));
    job.source.templated().into_iter().chain(job.destination.templated()).chain(ping).collect()
}

fn secret_files(home: &Home, settings: &Settings, jobs: &[Arc<Job>]) -> BTreeSet<PathBuf> {
    let parts = templated(settings, jobs).into_iter().flat_map(|(_, templated)| &templated.parts);
    let files = parts.filter_map(|part| match part {
        Part::File(path) => Some(path),
        _ => None,
    });
    let keys = [&settings.receiver.tls, &settings.admin.tls].into_iter().flatten().map(|tls| &tls.key);
    files.chain(keys).map(|path| home.dir().join(path)).collect()
}

#[cfg(unix)]
fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    Some(std::fs::metadata(path).ok()?.permissions().mode())
}

#[cfg(not(unix))]
fn mode(_: &Path) -> Option<u32> {
    None
}

fn changed_by_others(path: &Path) -> Option<Finding> {
    let shown = path.display().to_string();
    let what = format!("{shown} can be changed by everybody on this machine, who could have anything sent anywhere");
    (mode(path)? & 0o002 != 0).then(|| Finding::mend(AREA, &shown, what, format!("chmod o-w {shown}")))
}

fn read_by_others(path: &Path) -> Option<Finding> {
    let shown = path.display().to_string();
    let what = format!("{shown} can be read by everybody on this machine; a secret stands in it");
    (mode(path)? & 0o006 != 0).then(|| Finding::mend(AREA, &shown, what, format!("chmod o-rwx {shown}")))
}

/// Files that are made now would not belong to whom the others belong to.
#[cfg(unix)]
fn other_user(dir: &Path) -> Option<Finding> {
    use std::os::unix::fs::MetadataExt as _;
    let mine = tempfile::Builder::new().prefix(".nightmark-doctor-").tempfile_in(dir).ok()?;
    let (mine, theirs) = (mine.as_file().metadata().ok()?.uid(), std::fs::metadata(dir).ok()?.uid());
    let what = format!("this is user {mine}, and {} belongs to user {theirs}", dir.display());
    let remedy =
        "what this user makes there, the other may not be able to change: type commands as the daemon's user (sudo -u)";
    (mine != theirs).then(|| Finding::note(AREA, "user", what, remedy))
}

#[cfg(not(unix))]
fn other_user(_: &Path) -> Option<Finding> {
    None
}
