//! Azure's blobs: Azurite, which checks signatures.

use super::{Nights, csv};
use crate::shared::azurite::{ACCOUNT, Azurite, KEY};
use nightmark::objects::Objects;
use std::collections::BTreeMap;

/// Writes a blob.
pub fn write(server: &Azurite, name: &str, content: impl AsRef<[u8]>) {
    let settings = [
        ("azure_endpoint", server.endpoint()),
        ("azure_storage_account_name", ACCOUNT.to_owned()),
        ("azure_storage_account_key", KEY.to_owned()),
    ];
    let settings: BTreeMap<String, String> = settings.map(|(name, value)| (name.to_owned(), value)).into();
    let (objects, _) = Objects::open("az://lake/x", &settings, Vec::new()).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    objects.upload(name, file.path()).unwrap();
}

/// `more`: further lines of `[source]`.
pub fn source(server: &Azurite, path: &str, more: &str) -> String {
    format!("path = \"{path}\"\noptions = {{ azure_endpoint = \"{}\" }}\n{more}", server.endpoint())
}

/// With the usual variables.
pub fn nights(source: &str) -> Nights {
    Nights::new(source).env("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT).env("AZURE_STORAGE_ACCOUNT_KEY", KEY)
}

#[test]
fn blobs_that_match_are_one_table_or_the_latest() {
    let server = Azurite::start();
    write(&server, "out/orgs_1.csv", csv(&["a", "b"]));
    write(&server, "out/orgs 2.csv", csv(&["c"]));
    write(&server, "out/deeper/orgs_4.csv", csv(&["deeper"]));
    write(&server, "other/orgs_5.csv", csv(&["other"]));
    let all = nights(&source(&server, "az://lake/out/orgs*.csv", ""));
    assert_eq!(all.night(), ["a", "b", "c"]);
    assert_eq!(all.night(), Vec::<String>::new());
    write(&server, "out/orgs_1.csv", csv(&["a", "b", "d"]));
    assert_eq!(all.night(), ["d"]);
    let latest = nights(&source(&server, "az://lake/out/orgs_*.csv", "pick = \"latest\"\n"));
    assert_eq!(latest.night(), ["a", "b", "d"]);
}

#[test]
fn what_is_refused_is_said_without_the_key() {
    let server = Azurite::start();
    write(&server, "orgs.csv", csv(&["a"]));
    let nights = Nights::new(&source(&server, "az://lake/orgs.csv", ""))
        .env("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        .env("AZURE_STORAGE_ACCOUNT_KEY", "cGxhbnRlZC1henVyZS1rZXk=");
    nights.fails(&["az://lake/orgs.csv", "check the credentials"]);
    let missing = self::nights(&source(&server, "az://lake/nowhere.csv", ""));
    missing.fails(&["az://lake/nowhere.csv"]);
    let container = self::nights(&source(&server, "az://pond/orgs_*.csv", ""));
    container.fails(&["az://pond/", "there is no such container", "its name in the address"]);
    nights.source(&source(&server, "az://lake/orgs_*.csv", ""));
    nights.fails(&["access is denied (403 AuthorizationFailure)", "AZURE_*"]);
    let nights = nights.env("AZURE_STORAGE_ACCOUNT_KEY", "planted-no-base64");
    nights.fails(&["azure_storage_account_key", "not base64"]);
    Nights::new(&source(&server, "az://lake/orgs.csv", ""))
        .env("AZURE_STORAGE_ACCOUNT_KEY", KEY)
        .fails(&["the storage account is not named", "azure_storage_account_name"]);
}
