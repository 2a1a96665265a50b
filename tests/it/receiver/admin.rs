//! Who may call the admin API, asked of the real program.

use super::raw::Raw;
use crate::support::{Home, Served};

const TOKEN: &str = "planted-admin-token-0042";

async fn status(served: &Served, path: &str, headers: &str) -> u16 {
    let mut client = Raw::connect(served.admin.parse().unwrap()).await;
    client.send(format!("GET {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n")).await;
    let reply = client.reply().await.unwrap();
    if reply.status >= 400 {
        assert!(reply.body.contains("\"success\":false") && reply.body.contains("\"error\":\""), "{reply:?}");
    }
    reply.status
}

#[tokio::test]
async fn with_a_token_whoever_has_it_is_answered() {
    let home = Home::new();
    home.write("nightmark.toml", "[admin]\ntoken = \"${ADMIN_TOKEN}\"\n[log]\nlevel = \"trace\"\n");
    let served = Served::start_with(&home, &[("ADMIN_TOKEN", TOKEN)]);
    let host = "host: nightmark.example\r\n";
    let right = format!("{host}authorization: Bearer {TOKEN}\r\n");
    // What is not there is not told to strangers either.
    for path in ["/api/v1/keys", "/api/v1/nothing-of-the-kind"] {
        assert_eq!(status(&served, path, host).await, 401);
        assert_eq!(status(&served, path, &format!("{host}authorization: Bearer {TOKEN}x\r\n")).await, 401);
        assert_ne!(status(&served, path, &right).await, 401);
    }
    assert_eq!(status(&served, "/api/v1/nothing-of-the-kind", &right).await, 404);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(status(&served, path, host).await, 200);
    }
    assert_eq!(served.stop(), 0);
    let log = home.log();
    assert!(log.contains("nightmark::access") && !log.contains(TOKEN), "{log}");
}

#[tokio::test]
async fn without_a_token_this_machine_alone_is_answered() {
    let home = Home::new();
    let served = Served::start(&home);
    let own = format!("host: {}\r\n", served.admin);
    let path = "/api/v1/nothing-of-the-kind";
    assert_eq!(status(&served, path, &own).await, 404);
    assert_eq!(status(&served, path, &format!("{own}origin: http://{}\r\n", served.admin)).await, 404);
    for foreign in [
        "host: evil.example\r\n",
        "",
        &format!("{own}origin: http://evil.example\r\n"),
        &format!("{own}via: 1.1 x\r\n"),
    ] {
        assert_eq!(status(&served, path, foreign).await, 403, "{foreign}");
    }
    assert_eq!(status(&served, "/readyz", "host: evil.example\r\n").await, 200);
}
