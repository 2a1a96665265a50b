//! Azurite: Microsoft's own emulator of Azure's blobs, which keeps conditions of writes and checks signatures.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// The account that every Azurite has, and its key, which Microsoft's documentation prints.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Makes a container. `argv`: its URL, the account, its key.
const MAKE: &str = "
import base64, datetime, hashlib, hmac, sys, urllib.request
url, account, key = sys.argv[1:]
date = datetime.datetime.now(datetime.timezone.utc).strftime('%a, %d %b %Y %H:%M:%S GMT')
path = '/' + url.split('/', 3)[3]
text = 'PUT' + '\\n' * 12 + f'x-ms-date:{date}\\nx-ms-version:2021-08-06\\n/{account}{path}\\nrestype:container'
signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
headers = {'x-ms-date': date, 'x-ms-version': '2021-08-06', 'Authorization': f'SharedKey {account}:{signature}', 'Content-Length': '0'}
urllib.request.urlopen(urllib.request.Request(url + '?restype=container', method='PUT', headers=headers))
";

/// The server, with an empty container `lake`.
pub struct Azurite {
    child: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Azurite {
    pub fn start() -> Azurite {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let program = crate::support::packages().join("azurite/dist/src/blob/main.js");
        assert!(program.is_file(), "{} is missing; run ./test.sh, which installs it", program.display());
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "node"]).arg(program);
        command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string(), "--silent", "--disableTelemetry"]);
        command.args(["--skipApiVersionCheck", "--location"]).arg(folder.path());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let azurite = Azurite { child, address: SocketAddr::from(([127, 0, 0, 1], port)), _folder: folder };
        // The bound is there only so that a broken installation ends.
        for _ in 0..6000 {
            if TcpStream::connect(azurite.address).is_ok() {
                let url = format!("{}/lake", azurite.endpoint());
                let made = crate::support::python().args(["-c", MAKE, &url, ACCOUNT, KEY]).output().unwrap();
                assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
                return azurite;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("Azurite does not answer");
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}/{ACCOUNT}", self.address)
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
