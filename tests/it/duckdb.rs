//! Snapshots are ordinary Parquet: DuckDB reads them.

use crate::support::{Destination, Home, python};

/// Runs a query in DuckDB (PyPI) and returns its rows as Python prints them.
fn query(sql: &str) -> String {
    let script = "import duckdb, sys; print(duckdb.sql(sys.argv[1]).fetchall())";
    let output = python().args(["-c", script, sql]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn duckdb_reads_base_and_changes() {
    let destination = Destination::start();
    let home = Home::new();
    let job = format!(
        "version = 1\n[source]\nkind = \"files\"\npath = \"orgs.csv\"\n[diff]\nkey = \"id\"\ncompare = [\"plan\", \"users\"]\n\
         on = [\"added\", \"changed\", \"removed\"]\n[guard]\nmax_removed = {{ share = 1, floor = 0 }}\n\
         [destination]\nkind = \"http\"\nurl = \"http://{}/\"\n[payload]\ntemplate = '{{\"workspace_id\": {{{{row.id}}}}}}'\n",
        destination.address
    );
    home.write("jobs/orgs.toml", &job);
    home.write("orgs.csv", "id,plan,users,note\na,pro,1,x\nb,free,2,y\nc,pro,3,z\n");
    home.job("orgs", 0);
    home.write("orgs.csv", "id,plan,users,note\na,pro,,x2\nb,free,2,y\nd,pro,4,w\n");
    let run = home.job("orgs", 0)["run"].as_str().unwrap().to_owned();
    let file = |name: &str| home.path(&format!("snapshots/orgs/{run}/{name}.parquet")).display().to_string();
    let base = query(&format!("select id, plan, users from '{}' order by id", file("base")));
    assert_eq!(base, "[('a', 'pro', None), ('b', 'free', 2), ('d', 'pro', 4)]");
    let changes = query(&format!(
        "select operation, key.id, before.users, after.users, after.note, length(webhook_id) from '{}' order by seq",
        file("changes")
    ));
    assert_eq!(
        changes,
        "[('changed', 'a', 1, None, 'x2', 35), ('added', 'd', None, 4, 'w', 35), ('removed', 'c', 3, None, None, 35)]"
    );
}
