//! What is read of a form at any cutting, and what is refused.

use super::*;
use proptest::prelude::*;

const FORM: &str = "--xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\".mp3\"\r\nContent-Type: audio/mpeg\r\n\r\n\r\n--xy\r\n-- \0binary\r\n\r\n--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--xyz\r\ncontent-disposition: form-data; name=stream\r\n\r\ntrue\r\n--xyz\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\n2\r\n--xyz--\r\n";

fn scan(parts: &[&[u8]]) -> Result<FormScan, DoorError> {
    let mut scan = FormScan::new("xyz");
    for part in parts {
        scan.feed(part)?;
    }
    scan.finish()?;
    Ok(scan)
}

proptest! {
    #[test]
    fn any_cutting_reads_the_same(cuts in prop::collection::vec(0..FORM.len(), 0..30)) {
        let mut cuts = cuts;
        cuts.sort_unstable();
        let (mut parts, mut from) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([FORM.len()]) {
            parts.push(&FORM.as_bytes()[from..cut]);
            from = cut;
        }
        let form = scan(&parts).unwrap();
        let (model, place) = form.model().unwrap();
        prop_assert_eq!(model, "whisper-1");
        let place = usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap();
        prop_assert_eq!(&FORM[place], "whisper-1");
        prop_assert_eq!((form.stream(), form.asked().count(Bound::N)), (true, Some(2)));
    }

    #[test]
    fn nothing_panics_on_noise(noise in "(--xyz|\r\n|-|:|;|=|\"|name|model|form-data|Content-Disposition){0,40}") {
        let _read = scan(&[noise.as_bytes()]);
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn bad_forms() -> Vec<(String, &'static str)> {
    let part = |head: &str, value: &str| format!("--xyz\r\n{head}\r\n\r\n{value}\r\n");
    let named = |name: &str, value: &str| {
        part(
            &format!("Content-Disposition: form-data; name=\"{name}\""),
            value,
        )
    };
    let end = "--xyz--\r\n";
    let long = "x".repeat(5_000);
    vec![
        (
            named("model", "a") + &named("model", "b") + end,
            "duplicate_parameter",
        ),
        (named("Model", "a") + end, "ambiguous_parameter"),
        (named("mo\\del", "a") + end, "invalid_form"),
        (
            part(
                "Content-Disposition: form-data; name=\"model\"; name=\"x\"",
                "a",
            ) + end,
            "invalid_form",
        ),
        (
            part("Content-Disposition: form-data; name*=utf-8''model", "a") + end,
            "invalid_form",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"model\"; filename=\"m\"",
                "a",
            ) + end,
            "invalid_type",
        ),
        (
            part("Content-Disposition: attachment; name=\"model\"", "a") + end,
            "invalid_form",
        ),
        (
            part("Content-Disposition: form-data; name=\"model\r\nX: 1", "a") + end,
            "invalid_form",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"model\"\r\n folded: 1",
                "a",
            ) + end,
            "invalid_form",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: base64",
                "YQ==",
            ) + end,
            "invalid_form",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"model\"",
                "a",
            ) + end,
            "invalid_form",
        ),
        (part("Content-Type: text/plain", "a") + end, "invalid_form"),
        (
            "--xyz\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n".to_owned()
                + &named("model", "a")
                + end,
            "invalid_form",
        ),
        (
            part(
                "--xyz--:\r\nContent-Disposition: form-data; name=\"model\"",
                "a",
            ) + end,
            "invalid_form",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"model\"\r\n--xyz--: a",
                "a",
            ) + end,
            "invalid_form",
        ),
        (
            part(
                "X: a\nContent-Disposition: form-data; name=\"model\"\r\nContent-Disposition: form-data; name=\"a\"",
                "a",
            ) + end,
            "invalid_form",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"a\"; x; name=\"model\"",
                "a",
            ) + end,
            "invalid_form",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"a\"; name*0=\"mo\"; name*1=\"del\"",
                "a",
            ) + end,
            "invalid_form",
        ),
        (
            part(
                "Content-Disposition: form-data; name=\"model\"; filename*0=\"a\"",
                "a",
            ) + end,
            "invalid_type",
        ),
        (
            "preamble\r\n".to_owned() + &named("model", "a") + end,
            "invalid_form",
        ),
        (named("model", "a"), "invalid_form"),
        (named("model", "a") + "--xyz-", "invalid_form"),
        (named("model", "a") + "--xyzz\r\n", "invalid_form"),
        (named("model", "a") + end + "more", "invalid_form"),
        (named("model", &long) + end, "invalid_type"),
        (named("stream", "perhaps") + end, "invalid_type"),
        (named("n", "-1") + end, "invalid_type"),
        (
            part(
                &format!("Content-Disposition: form-data; name=\"{long}{long}\""),
                "a",
            ) + end,
            "invalid_form",
        ),
        (String::new(), "invalid_form"),
    ]
}

#[test]
fn what_two_parsers_could_read_differently_is_refused() {
    for (form, code) in bad_forms() {
        let error = scan(&[form.as_bytes()]).err().map(|error| error.code());
        assert_eq!(
            error,
            Some(code),
            "{}",
            form.chars().take(200).collect::<String>()
        );
    }
}

#[test]
fn a_boundary_is_read_as_it_is_written() {
    for (given, read) in [
        ("multipart/form-data; boundary=abc", Some("abc")),
        (
            "Multipart/Form-Data; charset=utf-8; Boundary=\"a b=c\"",
            Some("a b=c"),
        ),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary=\"a\"x", None),
        (
            "multipart/form-data; boundary=a; boundary*0=b; boundary*1=c",
            None,
        ),
        ("multipart/form-data; x=\"; boundary=a; y=\"", None),
        ("application/json; boundary=a", None),
    ] {
        assert_eq!(boundary(given).ok().as_deref(), read, "{given}");
    }
}
