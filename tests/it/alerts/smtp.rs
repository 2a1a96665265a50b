//! A real SMTP server (aiosmtpd) on loopback, with what a test says of TLS, users and refusals.

use crate::delivery::pki::Ca;
use crate::support::{Home, python, scripts_of};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Stdio};

pub struct Smtp {
    child: Child,
    lines: BufReader<ChildStdout>,
    pub port: u64,
}

impl Smtp {
    /// `settings`: `auth`, `refuse`, `tls`, `certificate`, `key` of tests/python/smtp.py.
    pub fn start(settings: &Value) -> Self {
        let mut command = python();
        command.arg(scripts_of("python").join("smtp.py")).arg(settings.to_string());
        // What it says of handshakes that fail is no news.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut server = Smtp { child, lines, port: 0 };
        server.port = server.next()["port"].as_u64().unwrap();
        server
    }

    /// The same with TLS, `starttls` or `implicit`, and a certificate for `name` of an authority whose certificate is `ca.pem` in the home folder.
    pub fn start_with_tls(home: &Home, tls: &str, name: &str, mut settings: Value) -> Self {
        let ca = Ca::new();
        let (certificate, key) = ca.certificate(name);
        home.write("ca.pem", &ca.pem);
        for (field, text) in [("certificate", certificate), ("key", key)] {
            let file = format!("smtp-{field}.pem");
            home.write(&file, &text);
            settings[field] = json!(home.path(&file));
        }
        settings["tls"] = json!(tls);
        Smtp::start(&settings)
    }

    /// The next mail; waits for it.
    pub fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("the SMTP server said `{line}`: {error}"))
    }

    /// Every mail that has not been looked at; the server is gone afterwards.
    pub fn rest(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        let lines = std::io::read_to_string(&mut self.lines).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
