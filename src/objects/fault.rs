//! What went wrong, in our words: the library's may quote addresses with what is secret in them.

use super::said::{Answer, Said, Unreached};
use object_store::Error;

/// Why something cannot be had or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its kind.
    pub why: Why,
    /// What is wrong, without the object's name.
    pub message: String,
    /// What to do about it.
    pub hint: Option<&'static str>,
}

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It is not there.
    Missing,
    /// It is another than the one that was asked for, or is there already.
    Changed,
    /// Credentials.
    Denied,
    /// The connection or the server; it may go well another time.
    Passing,
    /// Anything else.
    Other,
}

/// What helps, by the kind of store.
struct Words {
    /// What objects are in.
    bucket: &'static str,
    /// Where no credentials are.
    none: &'static str,
    /// Where they are not accepted, or may not do this.
    denied: &'static str,
    /// Where the server cannot be reached, or is another than was thought.
    address: &'static str,
}

const PROXY: &str = "check the address, user and password in `proxy_url`";

const S3: Words = Words {
    bucket: "bucket",
    none: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where nightmark is started, or in `options` aws_access_key_id and \
           aws_secret_access_key; a machine's role takes their place; ~/.aws is not read",
    denied: "check the credentials (`options`, or AWS_* where nightmark is started), and that they may read and list here: s3:GetObject, s3:ListBucket",
    address: "check aws_endpoint and aws_region (`options`, or AWS_* where nightmark is started), and that this machine may reach it",
};
const GOOGLE: Words = Words {
    bucket: "bucket",
    none: "set GOOGLE_APPLICATION_CREDENTIALS where nightmark is started, or in `options` google_service_account; a machine's service account takes \
           its place",
    denied: "check the credentials (`options`, or GOOGLE_* where nightmark is started), and that they may read and list here: \
             roles/storage.objectViewer",
    address: "check that this machine may reach it; `options` with google_base_url name another server",
};
const AZURE: Words = Words {
    bucket: "container",
    none: "set AZURE_STORAGE_ACCOUNT_KEY where nightmark is started, or in `options` azure_storage_account_key or azure_storage_sas_key; a managed \
           identity takes their place",
    denied: "check the credentials (`options`, or AZURE_* where nightmark is started), and that they may read and list here: Storage Blob Data Reader",
    address: "check azure_storage_account_name and azure_endpoint (`options`, or AZURE_* where nightmark is started), and that this machine may reach it",
};
const HTTP: Words = Words {
    bucket: "server",
    none: "check `options = { authorization = \"…\" }`",
    denied: "check `options = { authorization = \"…\" }`, or what is secret in the address",
    address: "check the address, and proxy_url in `options` if it is set",
};

fn words(root: &str) -> &'static Words {
    match root.split("://").next() {
        Some("gs") => &GOOGLE,
        Some("az" | "abfs" | "abfss") => &AZURE,
        Some("http" | "https") => &HTTP,
        _ => &S3,
    }
}

/// `root`: the address up to its path, such as `s3://bucket`.
pub(super) fn of(error: &Error, root: &str, secrets: &[String]) -> Fault {
    let words = words(root);
    match error {
        Error::NotFound { .. } => Fault { why: Why::Missing, message: "is not there".to_owned(), hint: None },
        Error::Precondition { .. } | Error::AlreadyExists { .. } | Error::NotModified { .. } => {
            Fault { why: Why::Changed, message: "has changed".to_owned(), hint: None }
        }
        Error::NotSupported { .. } => {
            Fault { why: Why::Other, message: "the server does not know this request".to_owned(), hint: None }
        }
        Error::Generic { store: "settings", source } => {
            Fault { why: Why::Other, message: source.to_string(), hint: None }
        }
        other => match Said::of(other, secrets) {
            Said::NoCredentials => Fault {
                why: Why::Denied,
                message: "there are no credentials for it".to_owned(),
                hint: Some(words.none),
            },
            Said::Answer(answer) => answered(&answer, words),
            Said::Unreached(unreached) => Fault {
                why: Why::Passing,
                message: unreached.to_string(),
                hint: Some(match unreached {
                    Unreached::Certificate { .. } => {
                        "its authority has to be one that this machine trusts (SSL_CERT_FILE)"
                    }
                    Unreached::Proxy { .. } => PROXY,
                    _ => words.address,
                }),
            },
            Said::Words(message) => {
                let why = if matches!(other, Error::Generic { .. }) { Why::Passing } else { Why::Other };
                Fault { why, message, hint: None }
            }
        },
    }
}

/// Whether a server has answered a request for a part with the whole.
pub(super) fn is_of_parts(error: &Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        // For most stores the library says it in words only.
        if error.to_string().contains("non-partial response") {
            return true;
        }
        next = error.source();
    }
    matches!(error, Error::NotSupported { .. })
}

/// What a store's answer means. Codes are those of the documentation of S3 ("Error responses") and Azure ("Blob service error codes").
fn answered(answer: &Answer, words: &Words) -> Fault {
    const REGION: [&str; 4] = [
        "AuthorizationHeaderMalformed",
        "PermanentRedirect",
        "TemporaryRedirect",
        "IllegalLocationConstraintException",
    ];
    let fault = |why, message: String, hint| Fault { why, message, hint };
    match (answer.status, answer.code.as_str()) {
        (_, code) if REGION.contains(&code) || answer.status == 301 => fault(
            Why::Other,
            "the bucket is in another region".to_owned(),
            Some("set aws_region in `options`, or AWS_REGION where nightmark is started, to that of the bucket"),
        ),
        (404, "NoSuchBucket" | "ContainerNotFound") => fault(
            Why::Other,
            format!("there is no such {}", words.bucket),
            Some("check its name in the address, and that the account and the endpoint are the right ones"),
        ),
        // Only a proxy answers so.
        (407, _) => fault(Why::Denied, format!("the proxy refuses it ({})", answer.short()), Some(PROXY)),
        (401, _) => {
            fault(Why::Denied, format!("the credentials are not accepted ({})", answer.short()), Some(words.denied))
        }
        (403, _) | (_, "ExpiredToken" | "InvalidToken") => {
            fault(Why::Denied, format!("access is denied ({})", answer.short()), Some(words.denied))
        }
        (408 | 429 | 500.., _) => fault(Why::Passing, format!("the server answers {answer}"), None),
        _ => fault(Why::Other, format!("the server answers {answer}"), Some(words.address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generic(text: &str) -> Error {
        Error::Generic { store: "S3", source: text.to_owned().into() }
    }

    #[track_caller]
    fn check(root: &str, said: &str, why: Why, message: &str, hint: &str) {
        let fault = of(&generic(said), root, &[]);
        assert_eq!((fault.why, fault.message.as_str()), (why, message));
        assert!(fault.hint.unwrap_or_default().contains(hint), "{fault:?}");
    }

    fn status(status: &str, body: &str) -> String {
        format!("Server returned non-2xx status code: {status}: {body}")
    }

    #[test]
    fn answers_of_stores_are_told_in_our_words() {
        let xml =
            |code: &str| format!("<?xml version=\"1.0\"?>\n<Error> <Code>{code}</Code><Message>m.</Message></Error>");
        let denied = status("403 Forbidden", &xml("SignatureDoesNotMatch"));
        check("s3://lake", &denied, Why::Denied, "access is denied (403 SignatureDoesNotMatch)", "s3:ListBucket");
        check("az://lake", &status("403 Forbidden", ""), Why::Denied, "access is denied (403)", "AZURE_*");
        let missing = status("404 Not Found", &xml("NoSuchBucket"));
        check("s3://lake", &missing, Why::Other, "there is no such bucket", "its name in the address");
        let missing = status("404 Not Found", &xml("ContainerNotFound"));
        check("az://lake", &missing, Why::Other, "there is no such container", "its name");
        let region = status("400 Bad Request", &xml("AuthorizationHeaderMalformed"));
        check("s3://lake", &region, Why::Other, "the bucket is in another region", "aws_region");
        let bare = "Received redirect without LOCATION, this normally indicates an incorrectly configured region";
        check("s3://lake", bare, Why::Other, "the bucket is in another region", "aws_region");
        check(
            "https://h",
            &status("401 Unauthorized", "<html>no</html>"),
            Why::Denied,
            "the credentials are not accepted (401)",
            "authorization",
        );
        let busy = status("503 Service Unavailable", &xml("SlowDown"));
        check("s3://lake", &busy, Why::Passing, "the server answers 503 Service Unavailable (SlowDown: m.)", "");
        let page = status("404 Not Found", "<html><h1>nginx</h1></html>");
        check("s3://lake", &page, Why::Other, "the server answers 404 Not Found", "aws_endpoint");
        let json = status("400 Bad Request", "{\"error\": {\"code\": 400, \"message\": \"bad\"}}");
        check("gs://lake", &json, Why::Other, "the server answers 400 Bad Request (bad)", "google_base_url");
        let role = "Error performing PUT http://169.254.169.254/latest/api/token in 1.7ms - Server returned non-2xx status code: 403 Forbidden: x";
        check("s3://lake", role, Why::Denied, "there are no credentials for it", "AWS_ACCESS_KEY_ID");
    }

    #[test]
    fn settings_are_told_as_they_are() {
        let error = Error::Generic { store: "settings", source: "`proxy_url` is not an address".to_owned().into() };
        let fault = of(&error, "s3://lake", &[]);
        assert_eq!((fault.why, fault.message.as_str()), (Why::Other, "`proxy_url` is not an address"));
    }
}
