//! Files in every place that they are read from, as CSV and as Parquet, whose types and pieces are others. Those at a distance are reached by a way that
//! can be held up and cut: they are copied before a row is read.

mod contents;

use super::{Engine, Types, conformance};
use crate::adbc::proxy::Proxy;
use crate::remote::servers::{KEY_ID, SECRET, Server, Sshd};
use crate::remote::{azure, sftp};
use crate::shared::azurite::{ACCOUNT, Azurite, KEY};
use base64::Engine as _;
use contents::Format;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

/// A place with files of one format.
pub struct OfFiles {
    format: Format,
    place: Place,
    /// In the name of every file, and in no other's.
    token: String,
}

enum Place {
    Here(tempfile::TempDir),
    S3(Server, Proxy),
    Azure(Azurite, Proxy),
    Http(Server, Proxy),
    Sftp(Sshd, Proxy),
}

const USER: &str = "u";
const PASSWORD: &str = "planted-http-password";

impl OfFiles {
    fn new(place: Place, format: Format) -> Self {
        OfFiles { format, place, token: format!("{:032x}", rand()) }
    }

    fn here(format: Format) -> Self {
        OfFiles::new(Place::Here(tempfile::tempdir().unwrap()), format)
    }

    fn s3(format: Format) -> Self {
        let server = Server::s3();
        let way = Proxy::to(server.address.port());
        OfFiles::new(Place::S3(server, way), format)
    }

    fn azure(format: Format) -> Self {
        let server = Azurite::start();
        let way = Proxy::to(server.address.port());
        OfFiles::new(Place::Azure(server, way), format)
    }

    fn http(format: Format) -> Self {
        let server = Server::http(&["--user", USER, "--pass", PASSWORD]);
        let way = Proxy::to(server.address.port());
        OfFiles::new(Place::Http(server, way), format)
    }

    fn sftp(format: Format) -> Self {
        let server = Sshd::start();
        let way = Proxy::to(server.port);
        let key = std::fs::read_to_string(server.path("host.pub")).unwrap();
        std::fs::write(server.path("known_hosts"), format!("[127.0.0.1]:{} {key}", way.port)).unwrap();
        OfFiles::new(Place::Sftp(server, way), format)
    }

    /// Writes a file; its name.
    fn file(&self, content: &[u8]) -> String {
        let name = format!("orgs-{}.{}", self.token, self.format.extension());
        match &self.place {
            Place::Here(folder) => std::fs::write(folder.path().join(&name), content).unwrap(),
            Place::S3(server, _) => server.write(&format!("lake/{name}"), content),
            Place::Azure(server, _) => azure::write(server, &name, content),
            Place::Http(server, _) => server.write(&name, content),
            Place::Sftp(server, _) => std::fs::write(server.path("files").join(&name), content).unwrap(),
        }
        name
    }

    fn way(&self) -> Option<&Proxy> {
        match &self.place {
            Place::Here(_) => None,
            Place::S3(_, way) | Place::Azure(_, way) | Place::Http(_, way) | Place::Sftp(_, way) => Some(way),
        }
    }

    /// The copies that somebody has now.
    fn copies(&self) -> Vec<PathBuf> {
        let copies = std::env::temp_dir().join("nightmark-extract-*");
        let of_ours = format!("{}/**/*{}*", copies.display(), self.token);
        let has_owner = |copy: &PathBuf| {
            let folder = copy.ancestors().find(|folder| folder.parent() == Some(&std::env::temp_dir())).unwrap();
            File::options().write(true).open(folder.join(".lock")).is_ok_and(|lock| lock.try_lock().is_err())
        };
        glob::glob(&of_ours).unwrap().filter_map(Result::ok).filter(has_owner).collect()
    }
}

/// Unlike any other.
fn rand() -> u128 {
    use nightmark::clock::Clock as _;
    nightmark::clock::SystemClock.random()
}

impl Engine for OfFiles {
    fn source(&self) -> String {
        "kind = \"files\"\n".to_owned()
    }

    fn asking(&self, name: &str) -> String {
        let lines = match &self.place {
            Place::Here(folder) => format!("path = {:?}\n", folder.path().join(name).display().to_string()),
            Place::S3(_, way) => format!(
                "path = \"s3://lake/{name}\"\noptions = {{ aws_endpoint = \"http://127.0.0.1:{}\", aws_region = \"eu-central-1\", \
                 aws_access_key_id = \"{KEY_ID}\", aws_secret_access_key = \"${{file:password}}\" }}\n",
                way.port
            ),
            Place::Azure(_, way) => format!(
                "path = \"az://lake/{name}\"\noptions = {{ azure_endpoint = \"http://127.0.0.1:{}/{ACCOUNT}\", \
                 azure_storage_account_name = \"{ACCOUNT}\", azure_storage_account_key = \"${{file:password}}\" }}\n",
                way.port
            ),
            Place::Http(_, way) => format!(
                "path = \"http://127.0.0.1:{}/{name}\"\noptions = {{ authorization = \"Basic ${{file:password}}\" }}\n",
                way.port
            ),
            Place::Sftp(server, way) => {
                format!("{}\n", sftp::source(server, way.port, name, &sftp::by_key(server)))
            }
        };
        format!("{}{lines}", self.source())
    }

    fn password(&self) -> String {
        match &self.place {
            Place::S3(..) => SECRET.to_owned(),
            Place::Azure(..) => KEY.to_owned(),
            Place::Http(..) => base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}")),
            Place::Here(_) | Place::Sftp(..) => String::new(),
        }
    }

    fn types(&self) -> Types {
        let (content, columns) = self.format.types();
        Types { query: self.file(&content), columns }
    }

    fn unfit(&self) -> (String, Vec<(&'static str, &'static str)>) {
        unreachable!("whatever these files hold is carried")
    }

    fn rows(&self, count: u64) -> String {
        self.file(&self.format.rows(count))
    }

    /// A run takes seconds for them. At a distance it does not get so far as to read any.
    fn many(&self) -> u64 {
        if self.way().is_some() { 300_000 } else { 1_000_000 }
    }

    fn wide(&self, count: u64, bytes: usize) -> String {
        self.file(&self.format.wide(count, bytes))
    }

    fn none(&self) -> String {
        self.rows(0)
    }

    fn nulls(&self) -> String {
        self.file(&self.format.nulls())
    }

    fn names_twice(&self) -> String {
        self.file(&self.format.names_twice())
    }

    fn endless(&self) -> String {
        unreachable!("nothing is asked that could take long")
    }

    fn parameters(&self) -> String {
        unreachable!("nothing is asked that could have any")
    }

    /// Copies that are read, or made. Here nobody is at work.
    fn running(&self) -> Option<usize> {
        self.way().map(|_| self.copies().len())
    }

    fn hold(&self) -> bool {
        self.way().into_iter().for_each(Proxy::hold);
        self.way().is_some()
    }

    fn is_held(&self) -> bool {
        // Of the megabyte that is let through, a part is not written yet.
        self.copies().iter().any(|copy| copy.metadata().is_ok_and(|copy| copy.len() > 1 << 18))
    }

    /// Cuts the way; of a file here, what is behind the beginning, in the middle of a row.
    fn cut(&self) {
        let Place::Here(folder) = &self.place else { return self.way().into_iter().for_each(Proxy::cut) };
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let path = file.unwrap().path();
            let mut beginning = vec![0; 1 << 16];
            File::open(&path).unwrap().read_exact(&mut beginning).unwrap();
            let row = beginning.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
            File::options().write(true).open(path).unwrap().set_len(row as u64 + 4).unwrap();
        }
    }
}

/// One list for each place, which has the one format or the other: how it comes here is the same for both.
macro_rules! places {
    ($($name:ident: $place:ident $format:ident $cases:ident),* $(,)?) => {
        $(mod $name {
            use super::*;

            conformance!(OfFiles::$place(Format::$format), $cases);
        })*
    };
}

places! {
    csv_here: here Csv files,
    parquet_here: here Parquet taken,
    csv_s3: s3 Csv copies,
    parquet_azure: azure Parquet copies,
    csv_http: http Csv copies,
    parquet_sftp: sftp Parquet copies,
}
