//! What every source must do.

use super::{Case, Engine, collect, memory as child, until, write_job};
use crate::support::{Destination, Home, ran, signal};
use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field};
use nightmark::source::{Ask, Rows, SourceError};
use std::process::{Child, Stdio};

/// Every type is what the documentation says, in its value and in its NULL.
pub fn types(engine: &dyn Engine) {
    let types = engine.types();
    let table = Case::new(engine, &types.query, "").read().unwrap_or_else(|error| panic!("{error:?}"));
    let found: Vec<(String, String, Vec<String>)> =
        types.columns.iter().map(|(name, ..)| ((*name).to_owned(), table.type_of(name), table.column(name))).collect();
    let expected: Vec<(String, String, Vec<String>)> = types
        .columns
        .iter()
        .map(|(name, of, value)| ((*name).to_owned(), (*of).to_owned(), vec![(*value).to_owned(), "NULL".to_owned()]))
        .collect();
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    let names: Vec<&str> = table.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, types.columns.iter().map(|(name, ..)| *name).collect::<Vec<_>>(), "all columns are looked at");
    for batch in &table.batches {
        let (found, said) = (batch.schema(), &table.schema);
        assert_eq!(found.fields().len(), said.fields().len());
        for (found, said) in found.fields().iter().zip(said.fields()) {
            assert!(is_as_said(found, said), "batches are as the schema says: {found:?} {said:?}");
        }
    }
}

/// A text may come as a dictionary.
fn is_as_said(found: &Field, said: &Field) -> bool {
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let is_text = *said.data_type() == DataType::Utf8View && *found.data_type() == dictionary;
    found == said || (is_text && found.name() == said.name())
}

/// What cannot be carried is named at once, with the cast to write.
pub fn unfit(engine: &dyn Engine) {
    let (query, columns) = engine.unfit();
    let error = Case::new(engine, &query, "").error();
    let hint = error.hint.clone().unwrap_or_default();
    for (column, cast) in columns {
        assert!(error.message.contains(&format!("`{column}`")), "{column}: {error:?}");
        assert!(hint.contains(cast), "{cast}: {error:?}");
    }
}

/// No rows have columns all the same.
pub fn empty(engine: &dyn Engine) {
    let table = Case::new(engine, &engine.none(), "").read().unwrap();
    assert_eq!((table.len(), table.schema.fields().len()), (0, 4));
}

/// NULL is NULL, in any column and in all of them.
pub fn nulls(engine: &dyn Engine) {
    let table = Case::new(engine, &engine.nulls(), "").read().unwrap();
    assert_eq!(table.column("v_some"), ["NULL", "2", "NULL"]);
    assert_eq!(table.column("v_none"), ["NULL"; 3]);
    assert_eq!(table.column("v_empty"), ["NULL", "NULL", ""], "an empty text is no NULL");
}

/// Two columns of one name could not be told apart.
pub fn names_twice(engine: &dyn Engine) {
    let error = Case::new(engine, &engine.names_twice(), "").error();
    assert!(error.message.contains("`b`") && error.hint.is_some(), "{error:?}");
}

/// Parameters are values. A job that has never succeeded asks from the beginning of 1970.
pub fn parameters(engine: &dyn Engine) {
    let table = Case::new(engine, &engine.parameters(), "").read().unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(table.column("since"), ["1970-01-01 00:00:00"]);
    assert_eq!(table.column("day"), ["1970-01-01"]);
}

/// A limit is one.
pub fn limit(engine: &dyn Engine) {
    let case = Case::new(engine, &engine.rows(100_000), "");
    for limit in [1, 20] {
        let table = case.stream(Some(limit)).and_then(collect).unwrap();
        assert_eq!((table.len(), table.schema.fields().len()), (limit, 4));
    }
}

/// Columns that nobody needs may be left out; rows are not.
pub fn wanted(engine: &dyn Engine) {
    let case = Case::new(engine, &engine.rows(5), "");
    let ask = |wanted: &(dyn Fn(&str) -> bool + Sync)| {
        collect(case.source.stream(&Ask { pinned: None, pinned_input: None, limit: None, wanted }).unwrap()).unwrap()
    };
    let table = ask(&|name| name == "mrr" || name == "workspace_id");
    assert_eq!(table.schema.fields().len(), 4, "they stand in the schema");
    assert_eq!(table.column("mrr").last().map(String::as_str), Some("0.05"));
    assert_eq!(table.column("workspace_id"), ["ws_1", "ws_2", "ws_3", "ws_4", "ws_5"]);
    assert_eq!(ask(&|_| false).len(), 5);
}

/// A run may look twice.
pub fn several_times(engine: &dyn Engine) {
    let case = Case::new(engine, &engine.rows(1000), "");
    let first = case.stream(None).unwrap();
    let second = collect(case.stream(None).unwrap()).unwrap();
    assert_eq!(second.len(), 1000);
    assert_eq!(collect(first).unwrap().column("n"), second.column("n"));
}

/// Pieces are in the extract's order, whoever takes them.
pub fn in_order(engine: &dyn Engine) {
    let table = Case::new(engine, &engine.rows(100_000), "").read().unwrap();
    assert!(table.batches.len() > 1, "it comes in several");
    assert!(table.column("n").iter().map(|n| n.parse::<u64>().unwrap()).eq(1..=100_000));
    assert_eq!(table.column("workspace_id")[99_999], "ws_100000");
    assert_eq!(table.column("mrr")[1233], "12.34");
}

/// Rows of megabytes are as whole as any.
pub fn wide(engine: &dyn Engine) {
    const BYTES: usize = 3_000_000;
    let stream = Case::new(engine, &engine.wide(12, BYTES), "").stream(None).unwrap();
    let mut rows = 0;
    while let Some(piece) = stream.rows.next().unwrap() {
        let batches: Vec<RecordBatch> = piece.batches.collect::<Result<_, _>>().unwrap();
        let held: usize = batches.iter().map(RecordBatch::get_array_memory_size).sum();
        assert!(held < 8 * BYTES, "a piece is bounded in bytes: {held}");
        for batch in &batches {
            let payload =
                arrow::compute::cast(batch.column_by_name("payload").unwrap(), &arrow::datatypes::DataType::Utf8);
            let payload = payload.unwrap();
            let texts = arrow::array::AsArray::as_string::<i32>(&payload);
            assert!(texts.iter().all(|text| text.is_some_and(|text| text.len() == BYTES)));
            rows += texts.len();
        }
    }
    assert_eq!(rows, 12);
}

/// Who drops the rows ends the query at the server.
pub fn cancelled(engine: &dyn Engine) {
    let case = Case::new(engine, &engine.rows(engine.many()), "");
    let stream = case.stream(None).unwrap();
    let piece = stream.rows.next().unwrap().unwrap();
    assert!(piece.batches.map(|batch| batch.unwrap().num_rows()).sum::<usize>() > 0);
    if let Some(running) = engine.running() {
        assert_eq!(running, 1);
    }
    drop(stream);
    until("the query has ended", || engine.running().unwrap_or(0) == 0);
}

/// A connection that is lost is an error, and stays one.
pub fn lost(engine: &dyn Engine) {
    let case = Case::new(engine, &engine.rows(engine.many()), "");
    let stream = case.stream(None).unwrap();
    stream.rows.next().unwrap().unwrap();
    engine.cut();
    let error = rest(&*stream.rows).expect_err("it is complete after so many rows");
    assert!(!error.message.is_empty(), "{error:?}");
}

/// Reads what is left; how many rows.
fn rest(rows: &dyn Rows) -> Result<usize, SourceError> {
    let mut read = 0;
    loop {
        match rows.next() {
            Ok(Some(piece)) => {
                for batch in piece.batches {
                    read += batch?.num_rows();
                }
            }
            Ok(None) => return Ok(read),
            Err(error) => {
                assert!(rows.next().is_err(), "errors stay errors");
                return Err(error);
            }
        }
    }
}

/// A query that takes too long is ended, here and at the server.
pub fn time_out(engine: &dyn Engine) {
    let error = Case::new(engine, &engine.slow(), "timeout = \"1s\"\n").error();
    assert!(error.message.contains("longer than 1s"), "{error:?}");
    assert!(error.hint.is_some_and(|hint| hint.contains("`timeout`")));
    until("the query has ended", || engine.running().unwrap_or(0) == 0);
}

/// A run of the program that reads many rows.
struct Run {
    home: Home,
    destination: Destination,
    child: Child,
}

impl Run {
    /// It is among its rows, or just before them; or in the middle of their copy.
    fn among_its_rows(engine: &dyn Engine) -> Run {
        let is_held = engine.hold();
        let destination = Destination::start();
        let home = Home::new();
        home.write("password", &engine.password());
        let section = engine.asking(&engine.rows(engine.many()));
        write_job(&home, &section, &format!("http://{}/", destination.address));
        let mut command = home.command(&["run", "orgs", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        if engine.running().is_some() {
            let asks = || engine.running() == Some(1) && (engine.is_held() || !is_held);
            until("the run asks", || asks() || child.try_wait().unwrap().is_some());
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
        if child.try_wait().unwrap().is_some() {
            let ran = ran(child.wait_with_output().unwrap());
            panic!("it has ended: {} {}", ran.stdout, ran.stderr);
        }
        Run { home, destination, child }
    }

    /// It fails: nothing has been sent or published.
    #[track_caller]
    fn fails(self, engine: &dyn Engine) {
        let ran = ran(self.child.wait_with_output().unwrap());
        assert_ne!(ran.code, 0, "{} {}", ran.stdout, ran.stderr);
        assert!(self.destination.take().is_empty(), "nothing was sent");
        assert!(!self.home.path("snapshots/orgs/manifest.json").exists(), "nothing was published");
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains(&engine.password()) || engine.password().is_empty());
    }
}

/// A run whose extract breaks off fails, and nothing has been sent.
pub fn lost_in_a_run(engine: &dyn Engine) {
    let run = Run::among_its_rows(engine);
    engine.cut();
    run.fails(engine);
}

/// A run that is ended among its rows has sent nothing, and leaves no query behind.
pub fn ended_in_a_run(engine: &dyn Engine) {
    let mut run = Run::among_its_rows(engine);
    // The first asks it to end in order, any further one to end at once.
    until("it has ended", || {
        signal(run.child.id(), "TERM");
        run.child.try_wait().unwrap().is_some()
    });
    run.fails(engine);
    until("the query has ended", || engine.running().unwrap_or(0) == 0);
}

/// A run that waits for a query which yields nothing ends as soon as it is told to, and the query with it.
pub fn stopped_while_it_waits(engine: &dyn Engine) {
    let (destination, home) = (Destination::start(), Home::new());
    home.write("password", &engine.password());
    write_job(&home, &engine.asking(&engine.endless()), &format!("http://{}/", destination.address));
    let mut command = home.command(&["run", "orgs", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("the run is on", || {
        home.run(&["runs", "--json"]).stdout.contains("extracting") || child.try_wait().unwrap().is_some()
    });
    std::thread::sleep(std::time::Duration::from_millis(300));
    signal(child.id(), "TERM");
    until("it has ended", || child.try_wait().unwrap().is_some());
    let run = Run { home, destination, child };
    let recorded = run.home.run(&["runs", "--json"]).expect(0).json();
    assert_eq!((&recorded[0]["state"], recorded.as_array().unwrap().len()), (&"discarded".into(), 1), "{recorded}");
    run.fails(engine);
    until("the query has ended", || engine.running().unwrap_or(0) == 0);
}

/// A million rows take no more memory than a hundred thousand.
pub fn memory(engine: &dyn Engine) {
    let (few, many) = (child::peak(engine, 100_000), child::peak(engine, 1_000_000));
    assert!(many < few + 24 * 1024, "{few} KiB for 100,000 rows, {many} KiB for a million");
}
