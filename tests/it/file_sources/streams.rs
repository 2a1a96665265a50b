//! Streams: pieces in order whoever takes them, columns that are wanted, guesses that are known, files that change.

use super::{Case, collect, kinds, numbers, rows, schema};
use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use nightmark::job::spec::FileFormat;
use nightmark::row::Kind;
use nightmark::source::files::Files;
use nightmark::source::{Ask, Source, Typing, parquet_files};
use std::io::Write;
use std::sync::Arc;

const ALL: &(dyn Fn(&str) -> bool + Sync) = &|_| true;

/// Rows with quoted line breaks, doubled quotes, NULLs, and all line ends.
fn text(rows: std::ops::Range<usize>, end: &str) -> String {
    let row = |n: usize| match n % 4 {
        0 => format!("{n},\"org {n},{end}line \"\"two\"\"\",{}{end}", n % 7),
        1 => format!("{n},plain 5\" pipe,{end}"),
        2 => format!("{n},\"\",\"{}\"{end}{end}", "x".repeat(n % 90)),
        _ => format!("{n},ä ö,{}{end}", n * 3),
    };
    std::iter::once(format!("id,name,note{end}")).chain(rows.map(row)).collect()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Whatever the size of blocks and however many threads read, the rows are those of one reader with one block.
#[track_caller]
fn check_blocks(case: &Case, count: usize) {
    let whole = collect(Files::new(case.spec.clone()).stream(&case.ask()).unwrap(), 1);
    let whole = whole.unwrap();
    assert_eq!(whole.batch.num_rows(), count);
    for block in [1, 7, 64, 1000] {
        let stream = Files::new(case.spec.clone()).with_block(block).stream(&case.ask()).unwrap();
        let parts = collect(stream, 4).unwrap();
        assert_eq!((&parts.batch, &parts.typing), (&whole.batch, &whole.typing), "{block}");
    }
}

#[test]
fn csv_blocks_are_the_rows_of_the_file() {
    for end in ["\n", "\r\n", "\r"] {
        check_blocks(&Case::csv(text(0..400, end)), 400);
        check_blocks(&Case::csv(gzip(&text(0..400, end))), 400);
        check_blocks(&Case::csv(text(0..9, end).trim_end()), 9);
    }
    let several = Case::new(FileFormat::Csv, "*.csv")
        .file("a.csv", text(0..100, "\n"))
        .file("b.csv", "name,note,id\nx,,100\n")
        .file("c.csv", gzip(&text(101..150, "\r\n")));
    check_blocks(&several, 150);
    check_blocks(&Case::csv(text(0..100, "\n")).limit(37), 37);
    check_blocks(&Case::csv(format!("{}{}", "\n".repeat(3000), text(0..5, "\n"))), 5);
}

#[test]
fn csv_faults_are_the_same_whatever_the_blocks() {
    let good = text(0..200, "\r\n");
    for bad in ["7,x\r\n", "7,\"x\"y,\r\n", "7,\"open,\r\n", "7,x,y,z\r\n"] {
        let csv = format!("{good}{bad}{}{bad}", text(200..300, "\r\n").split_once('\n').unwrap().1);
        let error = Case::csv(csv).read().unwrap_err();
        // An open quote is found where the next one closes it.
        let line = good.matches("\r\n").count() + if bad.contains("open") { 2 } else { 1 };
        assert!(error.message.contains(&format!("line {line}: ")), "{error}");
    }
    let mut latin1 = good.into_bytes();
    latin1.extend(b"201,caf\xe9,\r\n");
    Case::csv(latin1).read().unwrap_err();
    let case = Case::new(FileFormat::Csv, "*.csv").file("a.csv", text(0..50, "\n")).file("b.csv", "id,name\n1,a\n");
    case.check_error("a.csv and b.csv have different columns: only a.csv has `note`");
}

#[test]
fn csv_reads_what_is_wanted_and_guesses_what_is_not_known() {
    let case = Case::csv("id,name,note\n1,a,2.5\n2,b,3\n");
    let pins = schema(&[("id", Kind::Text), ("gone", Kind::Int)]);
    let wanted = |name: &str| name != "name";
    let ask = Ask { pinned: Some(&pins), wanted: &wanted, ..case.ask() };
    let stream = case.source().stream(&ask).unwrap();
    assert_eq!(stream.rows.estimate(), 2);
    let table = collect(stream, 3).unwrap();
    assert_eq!(rows(&table), ["1|2.5", "2|3"]);
    assert_eq!(table.schema.fields().len(), 3);
    assert_eq!(kinds(&table), [Kind::Text, Kind::Text, Kind::Float]);
    let none = Ask { wanted: &|_| false, ..case.ask() };
    assert_eq!(collect(case.source().stream(&none).unwrap(), 1).unwrap().batch.num_rows(), 2);
    let estimate = |text: String| Case::csv(text).source().stream(&ask).unwrap().rows.estimate();
    assert!((900..1100).contains(&estimate((0..1000).map(|n| format!("{}\n", 1000 + n)).collect())));
}

#[test]
fn a_guess_rests_on_every_block() {
    let ints: String = (0..500).map(|n| format!("{n},true\n")).collect();
    assert_eq!(kinds(&Case::csv(format!("a,b\n{ints}")).read().unwrap()), [Kind::Int, Kind::Bool]);
    assert_eq!(kinds(&Case::csv(format!("a,b\n{ints}0.5,7\n")).read().unwrap()), [Kind::Float, Kind::Text]);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let case = Case::csv(text(0..300, "\n"));
    let path = case.folder.path().join("orgs.csv");
    let stream = case.source().stream(&case.ask()).unwrap();
    stream.rows.next().unwrap().unwrap();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"7,x,y\n").unwrap();
    let error = collect_rest(&*stream.rows);
    assert!(error.message.ends_with("orgs.csv changed while it was read"), "{error}");
    assert!(error.hint.is_some() && stream.rows.next().is_err(), "errors stay errors");

    let case = Case::new(FileFormat::Parquet, "a.parquet").parquet("a.parquet", &numbers(&[1, 2, 3, 4, 5]));
    let stream = case.source().stream(&case.ask()).unwrap();
    let first = stream.rows.next().unwrap().unwrap();
    let case = case.parquet("a.parquet", &numbers(&[1, 2, 3, 4, 5, 6]));
    let error = first.batches.map(|batch| batch.map(drop)).collect::<Result<Vec<()>, _>>().unwrap_err();
    assert!(error.message.ends_with("a.parquet changed while it was read"), "{error}");
    drop(case);
}

fn collect_rest(rows: &dyn nightmark::source::Rows) -> nightmark::source::SourceError {
    loop {
        match rows.next() {
            Ok(Some(piece)) => drop(piece),
            Ok(None) => panic!("complete"),
            Err(error) => return error,
        }
    }
}

/// Few names in a dictionary, and texts that are all different, written plain.
fn texts(rows: usize) -> RecordBatch {
    let plan: StringArray = (0..rows).map(|n| (n % 5 != 0).then(|| format!("plan {}", n % 3))).collect();
    let name: StringArray = (0..rows).map(|n| Some(format!("a name that is never met again {n}"))).collect();
    let id = Int64Array::from_iter_values((0..rows as i64).map(|n| n * 7));
    let columns = [("plan", Arc::new(plan) as ArrayRef), ("name", Arc::new(name)), ("id", Arc::new(id))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

fn parquet(batch: &RecordBatch, group: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .set_column_dictionary_enabled("name".into(), false)
        .build();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn parquet_row_groups_are_pieces() {
    let batch = texts(50_000);
    let case = Case::new(FileFormat::Parquet, "*.parquet")
        .file("a.parquet", parquet(&batch, 20_000))
        .file("b.parquet", parquet(&batch.slice(0, 10), 20_000));
    let table = case.read().unwrap();
    assert_eq!((table.batch.num_rows(), table.typing), (50_010, Typing::Declared));
    assert_eq!(table.files.unwrap().len(), 2);
    assert_eq!(table.batch.slice(50_000, 10), table.batch.slice(0, 10));
    let four = collect(case.source().stream(&case.ask()).unwrap(), 4).unwrap();
    assert_eq!(four.batch, table.batch);
    let stream = case.source().stream(&case.ask()).unwrap();
    assert_eq!(stream.rows.estimate(), 50_010);
    let pieces: Vec<_> = std::iter::from_fn(|| stream.rows.next().unwrap()).collect();
    assert_eq!(pieces.iter().map(|piece| piece.number).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn text_that_is_a_dictionary_in_the_file_stays_one() {
    let case = Case::new(FileFormat::Parquet, "a.parquet").file("a.parquet", parquet(&texts(40_000), 40_000));
    let wanted = |name: &str| name != "id";
    let stream = case.source().stream(&Ask { wanted: &wanted, ..case.ask() }).unwrap();
    assert_eq!((stream.schema.fields().len(), stream.schema.field(0).data_type()), (3, &DataType::Utf8View));
    let batches: Vec<RecordBatch> = stream.rows.next().unwrap().unwrap().batches.map(Result::unwrap).collect();
    assert!(batches.len() > 1 && batches.iter().all(|batch| batch.num_columns() == 2));
    let of = |batch: &RecordBatch| batch.column(0).as_dictionary::<Int32Type>().values().to_data();
    assert!(batches.iter().all(|batch| of(batch).ptr_eq(&of(&batches[0]))), "one array of values for all batches");
    assert!(batches.iter().all(|batch| *batch.column(1).data_type() == DataType::Utf8View));
    assert!(batches[0].column(0).is_null(5) && !batches[0].column(0).is_null(6));
}

#[test]
fn a_private_copy_is_read_in_the_order_given() {
    let case = Case::new(FileFormat::Parquet, "*.parquet")
        .parquet("a.parquet", &numbers(&[1]))
        .parquet("b.parquet", &numbers(&[2, 3, 4]));
    let paths = ["b.parquet", "a.parquet"].map(|name| case.folder.path().join(name)).to_vec();
    let source = parquet_files(paths.clone());
    let stream = source.stream(&Ask { pinned: None, pinned_input: None, limit: None, wanted: ALL }).unwrap();
    let table = collect(stream, 2).unwrap();
    assert_eq!((rows(&table), table.files), (vec!["2".to_owned(), "3".into(), "4".into(), "1".into()], Some(paths)));
    let ask = Ask { pinned: None, pinned_input: None, limit: Some(2), wanted: ALL };
    let table = collect(source.stream(&ask).unwrap(), 2).unwrap();
    assert_eq!((rows(&table), table.files), (vec!["2".to_owned(), "3".into()], None));
}

#[test]
fn what_is_in_memory_is_cut_into_pieces() {
    let many: String = (0..150_000).map(|n| format!("{{\"id\":{n}}}\n")).collect();
    let case = Case::ndjson(&many);
    let stream = case.source().stream(&case.ask()).unwrap();
    assert_eq!(stream.rows.estimate(), 150_000);
    let sizes: Vec<usize> = std::iter::from_fn(|| stream.rows.next().unwrap())
        .flat_map(|piece| piece.batches.map(|batch| batch.unwrap().num_rows()))
        .collect();
    assert_eq!((sizes.iter().sum::<usize>(), sizes.iter().max()), (150_000, Some(&65_536)));
}
