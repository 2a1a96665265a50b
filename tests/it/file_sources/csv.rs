//! CSV: values, NULLs, and faults named by line.

use super::{Case, kinds};
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use nightmark::job::spec::CsvOptions;
use nightmark::row::Kind;

#[test]
fn csv_values_stay_the_text_they_are() {
    let extract = Case::csv("id,mrr,trial,ratio,zip\n1,100,true,0.5,01234\n2,,false,1,98765\n")
        .check(&["1|100|true|0.5|01234", "2|NULL|false|1|98765"]);
    assert_eq!(kinds(&extract), [Kind::Int, Kind::Int, Kind::Bool, Kind::Float, Kind::Text]);
    assert!(extract.input.is_none());
    assert!(extract.schema.fields().iter().all(|f| *f.data_type() == DataType::Utf8View && f.is_nullable()));
}

#[test]
fn csv_spellings() {
    Case::csv("id,note\n1,\"a, \"\"b\"\"\nc\"\n2,5\" pipe\n").check(&["1|a, \"b\"\nc", "2|5\" pipe"]);
    Case::csv("id,note\r\n1,\"a\r\nb\"\r\n2,c\r\n").check(&["1|a\r\nb", "2|c"]);
    Case::csv("\u{feff}id,note\n1,ä").check(&["1|ä"]);
    Case::csv("\u{feff}\"id\",note\n1,ä").check(&["1|ä"]);
    Case::csv("id,note\n\n1,a\n\n\n2,b\n\n").check(&["1|a", "2|b"]);
    Case::csv("id,note\n 1 , a \n").check(&[" 1 | a "]);
    Case::csv("id,note\n").check(&[]);
    Case::csv("id;note\n1;'a;b'\n").options(|o| (o.delimiter, o.quote) = (b';', Some(b'\''))).check(&["1|a;b"]);
    Case::csv("id,note\n1,\"a\n2,b\"\n").options(|o| o.quote = None).check(&["1|\"a", "2|b\""]);
    let extract = Case::csv("1,a\n2,b\n").options(|o| o.header = false).check(&["1|a", "2|b"]);
    assert_eq!(extract.schema.field(1).name(), "column_2");
}

#[test]
fn csv_null_is_unquoted() {
    Case::csv("id,note\n1,\n2,\"\"\n").check(&["1|NULL", "2|"]);
    let null = |o: &mut CsvOptions| o.null_values = vec!["NULL".to_owned(), "\\N".to_owned()];
    let case = Case::csv("id,a,b,c\n1,NULL,\"NULL\",null\n2,\\N,,\"x\"\n").options(null);
    // In the first row, `NULL` in quotes is text.
    case.check(&["1|NULL|NULL|null", "2|NULL||x"]);
    let batch = case.read().unwrap().batch;
    assert!(batch.column(1).is_null(0) && batch.column(2).is_valid(0));
}

#[test]
fn a_large_csv_comes_through_in_order() {
    let text: String = (0..50_000).map(|n| format!("{n},\"org \"\"{n}\"\"\nline two\",{}\n", n % 7)).collect();
    let extract = Case::csv(format!("id,name,seats\n{text}")).read().unwrap();
    let batch = &extract.batch;
    assert_eq!(batch.num_rows(), 50_000);
    for row in [0, 1, 777, 49_999] {
        assert_eq!(batch.column(0).as_string_view().value(row), row.to_string());
        assert_eq!(batch.column(1).as_string_view().value(row), format!("org \"{row}\"\nline two"));
    }
    assert_eq!(kinds(&extract), [Kind::Int, Kind::Text, Kind::Int]);
}

#[test]
fn csv_faults_are_named_by_line() {
    let fields = "id,name,mrr\n1,a,10\n2,b\n3,c,30\n4,d,40,x\n";
    Case::csv(fields)
        .check_error("orgs.csv has 2 problems:\n  line 3: 2 fields, expected 3\n  line 5: 4 fields, expected 3");
    Case::csv("id,name\n1,a\n2").check_error("orgs.csv, line 3: 1 field, expected 2");
    Case::csv("id,name\r\n\r\n1,\"a\r\nb\"\r\n2\r\n").check_error("orgs.csv, line 5: 1 field, expected 2");
    let latin1 = b"id,name\n1,\"a\nb\"\n2,caf\xe9\n";
    let error = Case::csv(latin1).check_error("orgs.csv, line 4: column `name` is not valid UTF-8");
    assert!(error.hint.unwrap().contains("iconv -f latin1 -t utf8"));
    Case::csv(b"id,n\n1,\"a\nb\xe9\"\n").check_error("orgs.csv, line 3: column `n` is not valid UTF-8");
    // Valid as one text, but not as two fields.
    Case::csv(b"id,n\n\xc3,\xa9\n").check_error("orgs.csv, line 2: column `id` is not valid UTF-8");
    Case::csv("id,name\n1,\"a\n2,b\n3,c\n")
        .check_error("orgs.csv, line 2: a quote is opened here and never closed (field 2)");
    Case::csv("id,name\n1,\"a\n2,b\",\"c\n3,c\n")
        .check_error("orgs.csv, line 3: a quote is opened here and never closed (field 3)");
    Case::csv("id,name\n1,\"a\"b\n")
        .check_error("orgs.csv, line 2: a quoted field goes on after its closing quote (field 2)");
    Case::csv("id,name\n1,\"a\n2,\"b\"\n")
        .check_error("orgs.csv, line 3: a quoted field goes on after its closing quote (field 2)");
    let many = format!("id,n\n{}", "1\n".repeat(8));
    let error = Case::csv(many).read().unwrap_err();
    assert!(error.message.contains("has 8 problems, the first 5:") && error.message.matches("\n  line ").count() == 5);
}

#[test]
fn csv_headers_must_be_names() {
    Case::csv("id,,id\n1,2,3\n").check_error(
        "orgs.csv has 2 problems:\n  line 1: column 2 has no name\n  line 1: the column name `id` occurs twice",
    );
    let delimiter =
        "orgs.csv, line 1: the header is a single column, `id;\"name\"`: fields are not separated by `,` in this file";
    Case::csv("\"id\";\"name\"\n1;2\n").check_error(delimiter);
    Case::csv("\"id;name\"\n1\n").check(&["1"]);
    Case::csv("").check_error("orgs.csv is empty: it has no header line");
    Case::csv("\n\n").check_error("orgs.csv is empty: it has no header line");
    Case::csv(b"\xff\xfei\0d\0").check_error("orgs.csv is UTF-16, not UTF-8");
    Case::csv(b"id,caf\xe9\n").check_error("orgs.csv, line 1: the name of column 2 is not valid UTF-8");
}
