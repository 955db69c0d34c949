//! Every layout of an export gives the same records, each with its line, and nothing broken passes for whole.

use super::*;

const WANTED: &[&str] = &["id", "spend", "tags"];

/// The line, then the fields or what is wrong.
fn read(text: &str) -> Result<Vec<(usize, String)>, FileError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("export");
    std::fs::write(&path, text).unwrap();
    let mut records = Records::open(&path, WANTED)?;
    let mut all = Vec::new();
    while let Some((line, record)) = records.next()? {
        let shown = match record {
            Ok(fields) => format!("{}={}", fields.text("id"), fields.text("spend")),
            Err(reason) => reason,
        };
        all.push((line, shown));
    }
    Ok(all)
}

fn lines(pairs: &[(usize, &str)]) -> Vec<(usize, String)> {
    pairs
        .iter()
        .map(|(line, text)| (*line, (*text).to_owned()))
        .collect()
}

#[test]
fn a_list_lines_objects_an_answer_and_csv_are_read_alike() {
    let cases = [
        (
            r#"[{"id":"a","spend":2.5e-05},{"id":"b","spend":1}]"#,
            [1, 1],
        ),
        (
            "[\n {\"id\": \"a\",\n  \"spend\": 2.5e-05},\n {\"id\":\"b\",\"spend\":1}\n]\n",
            [2, 4],
        ),
        (
            "{\"id\":\"a\",\"spend\":2.5e-05}\n\n{\"id\":\"b\",\"spend\":1}",
            [1, 3],
        ),
        (
            "{\n\"id\":\"a\",\"spend\":2.5e-05}\n{\"id\":\"b\",\n\"spend\":1}",
            [1, 3],
        ),
        (
            r#"{"data":[{"id":"a","spend":2.5e-05},{"id":"b","spend":1}],"total":2}"#,
            [1, 1],
        ),
        (
            "\u{feff}id,spend,other\r\na,2.5e-05,x\r\nb,1,\"y\nz\"\r\n",
            [2, 3],
        ),
    ];
    for (text, at) in cases {
        let wanted = lines(&[(at[0], "a=2.5e-05"), (at[1], "b=1")]);
        assert_eq!(read(text).unwrap(), wanted, "{text}");
    }
}

#[test]
fn a_broken_line_is_one_refusal_with_its_number_and_without_its_text() {
    let text = "{\"id\":\"a\"}\nnot json secret\n{\"id\":\"b\n{\"id\":\"c\", secret}\n[]\n{\"id\":\"d\",\n{\"id\":\"e\"}";
    let found = read(text).unwrap();
    let kept: Vec<_> = found
        .iter()
        .filter(|(_, text)| text.ends_with('='))
        .collect();
    assert_eq!(kept, [&(1, "a=".to_owned()), &(7, "e=".to_owned())]);
    let refused: Vec<_> = found.iter().map(|(line, _)| *line).collect();
    assert_eq!(refused, [1, 2, 3, 4, 5, 6, 7]);
    assert!(
        found.iter().all(|(_, text)| !text.contains("secret")),
        "{found:?}"
    );
    let csv = read("id,spend\na,1\nb\nc,1,2\nd,4\n").unwrap();
    let wanted = [
        (2, "a=1"),
        (3, "1 fields where the header has 2"),
        (4, "3 fields where the header has 2"),
        (5, "d=4"),
    ];
    assert_eq!(csv, lines(&wanted));
}

#[test]
fn an_export_that_was_cut_off_is_no_shorter_export() {
    for text in [
        r#"[{"id":"a"},{"id":"b"}"#,
        r#"[{"id":"a"},{"id":"#,
        "{\n\"data\":[{\"id\":\"a\"}",
    ] {
        assert!(
            matches!(read(text), Err(FileError::CutOff { line: 1, .. })),
            "{text}"
        );
    }
    for text in ["id,spend\na,0.5\nb,0.2", "id,spend\na,0.5\nb,\"0.25\n"] {
        let error = read(text);
        assert!(
            matches!(error, Err(FileError::CutOff { line: 3, .. })),
            "{text}: {error:?}"
        );
    }
    assert!(matches!(read(" \n"), Err(FileError::Empty(_))));
    assert!(matches!(
        read("name,spend\n"),
        Err(FileError::NoColumn { column: "id", .. })
    ));
    assert!(matches!(
        Records::open(Path::new("/nowhere/at/all"), WANTED).err(),
        Some(FileError::Unreadable { .. })
    ));
}

#[test]
fn lists_of_json_and_of_postgres_are_the_same_lists() {
    for text in [r#"["a","b c","d\"e"]"#, r#"{a,"b c","d\"e"}"#] {
        assert_eq!(list(text).unwrap(), ["a", "b c", "d\"e"], "{text}");
    }
    for text in ["", "[]", "{}"] {
        assert_eq!(list(text).unwrap(), Vec::<String>::new(), "{text}");
    }
    assert_eq!(list("a,b"), None);
    assert_eq!(list("[1]"), None);
}
