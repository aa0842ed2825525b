//! Names of labels, in three formats.

use std::fs;

use braintune_fmri::LabelTable;

use crate::full_message;

fn read(file: &str, text: &str) -> Result<Vec<(i64, String)>, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(file);
    fs::write(&path, text).unwrap();
    match LabelTable::read(&path) {
        Ok(table) => Ok(table.iter().map(|(k, name)| (k, name.to_owned())).collect()),
        Err(error) => {
            let message = full_message(&error);
            assert!(message.contains(file), "{message}");
            Err(message)
        }
    }
}

#[test]
fn each_format_is_read() {
    let expected = vec![(0, "Unknown".to_owned()), (1001, "ctx-lh-A1".to_owned())];
    let lut = "#No. Label Name:  R G B A\n\n0    Unknown   0 0 0 0\r\n1001 ctx-lh-A1 25 5 25 0\n";
    for (file, text) in [
        ("colours.txt", lut),
        ("colours.ctab", "1001 ctx-lh-A1\n  0 Unknown 0 0 0 0 # none"),
        ("names.json", r#"{"1001": "ctx-lh-A1", "0": "Unknown"}"#),
        (
            "a_dseg.tsv",
            "index\tname\tcolor\n0\tUnknown\t#000000\n1001\tctx-lh-A1\t#fff\n",
        ),
        (
            "b_dseg.tsv",
            "\u{feff}name\tindex\r\nctx-lh-A1\t1001\r\nUnknown\t0\r\n",
        ),
    ] {
        let read = read(file, text);
        if file == "colours.ctab" {
            // A comment behind an entry is none of the format's.
            assert!(read.unwrap_err().contains("`#`"));
        } else {
            assert_eq!(read.unwrap(), expected, "{file}");
        }
    }
    // Names of several words are only in formats that have columns.
    let spaced = read("a.tsv", "index\tname\n-1\tLeft A1\n").unwrap();
    assert_eq!(spaced, [(-1, "Left A1".to_owned())]);
}

#[test]
fn what_is_no_table_is_said() {
    for (file, text, says) in [
        ("a.txt", "", "it has no label"),
        ("a.txt", "1\n", "expected `index name"),
        ("a.txt", "one A1 1 2 3 4\n", "`one` is not a whole number"),
        ("a.txt", "1 Left A1 1 2 3 4\n", "`A1` of `1 Left A1"),
        (
            "a.txt",
            "1 a 1 2 3 4\n1 b 1 2 3 4\n",
            "label 1 is there twice",
        ),
        ("a.tsv", "index\tlabel\n1\ta\n", "no column `name`"),
        ("a.tsv", "index\tname\n1\n", "`1` has no index or no name"),
        ("a.tsv", "index\tname\n1\t \n", "label 1 has no name"),
        ("a.json", r#"{"a": "b"}"#, "`a` is not a whole number"),
        (
            "a.json",
            r#"{"1": "a", "1": "b"}"#,
            "label 1 is there twice",
        ),
        ("a.json", r#"{"1": 2}"#, "expected {\"label\": \"name\""),
        ("a.json", "{}", "it has no label"),
    ] {
        let message = read(file, text).unwrap_err();
        assert!(message.contains(says), "{text}: {message}");
    }
}
