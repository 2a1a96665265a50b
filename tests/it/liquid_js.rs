//! Templates against LiquidJS (npm), which Hightouch renders with.

use crate::support::node;

#[test]
fn the_installed_liquidjs_is_the_locked_one() {
    let lock = include_str!("../js/package-lock.json");
    let lock: serde_json::Value = serde_json::from_str(lock).unwrap();
    let output = node("version.cjs").arg("liquidjs").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let installed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(Some(installed.trim()), lock["packages"]["node_modules/liquidjs"]["version"].as_str());
}
