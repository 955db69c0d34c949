//! Calls that are refused at the door: the provider sees none of them.

use super::{CHAT, Carried, Case, bearer, good_body};
use crate::raw::post;

/// What is wrong, our code, the body. All of them are answered 400.
const BODIES: &str = r#"
a key twice | duplicate_parameter | {MODEL,"model":"gpt-4o",MESSAGES}
a key twice, one deeper | duplicate_parameter | {MODEL,"stream":true,"stream_options":{"include_usage":true,"include_usage":false},MESSAGES}
an escaped key | escaped_parameter | {"\u006dodel":"gpt-4o-mini",MESSAGES}
an escaped twin | escaped_parameter | {MODEL,"\u006dodel":"gpt-4o",MESSAGES}
an escaped key, one deeper | escaped_parameter | {MODEL,"stream":true,"stream_options":{"include_usag\u0065":true},MESSAGES}
a second document | invalid_json | {MODEL,MESSAGES}{MODEL,MESSAGES}
trailing text | invalid_json | {MODEL,MESSAGES} and more
an end too early | invalid_json | {MODEL,MESSAGES
no body | invalid_json |
a list | invalid_json | [{MODEL,MESSAGES}]
a text | invalid_json | "MESSAGE"
a number that is none | invalid_json | {MODEL,"temperature":0x1,MESSAGES}
a comment | invalid_json | {MODEL,/* PROMPT */MESSAGES}
a byte order mark | invalid_json | BOM{MODEL,MESSAGES}
200 levels | json_too_deep | {MODEL,"metadata":DEEP200,MESSAGES}
30,000 levels | json_too_deep | DEEP30000
no model | missing_required_parameter | {MESSAGES}
a model that is null | missing_required_parameter | {"model":null,MESSAGES}
no messages | missing_required_parameter | {MODEL}
a model that is a number | invalid_type | {"model":7,MESSAGES}
messages that are a text | invalid_type | {MODEL,"messages":"PROMPT"}
a stream that is a text | invalid_type | {MODEL,"stream":"true",MESSAGES}
a stream that is a number | invalid_type | {MODEL,"stream":1,MESSAGES}
stream options that are a list | invalid_type | {MODEL,"stream":true,"stream_options":[],MESSAGES}
include_usage that is a text | invalid_type | {MODEL,"stream":true,"stream_options":{"include_usage":"yes"},MESSAGES}
a limit below 0 | invalid_type | {MODEL,"max_tokens":-1,MESSAGES}
a limit in halves | invalid_type | {MODEL,"max_completion_tokens":1.5,MESSAGES}
a limit beyond 64 bits | invalid_type | {MODEL,"max_tokens":99999999999999999999,MESSAGES}
a number of answers that is a text | invalid_type | {MODEL,"n":"2",MESSAGES}
"#;

/// What is wrong, status, our code, the headers with `;` for an end of line.
const CREDENTIALS: &str = "
no key | 401 | missing_api_key |
a key that nobody has | 401 | invalid_api_key | authorization: Bearer FOREIGN;
a key that is switched off | 401 | invalid_api_key | authorization: Bearer DISABLED;
another scheme | 401 | invalid_api_key | authorization: Basic SECRET;
no scheme | 401 | invalid_api_key | authorization: SECRET;
a key in another case | 401 | invalid_api_key | authorization: Bearer xSECRET;
an empty key | 401 | invalid_api_key | api-key: ;
both headers | 400 | two_credentials | authorization: Bearer SECRET;api-key: SECRET;
both headers, one wrong | 400 | two_credentials | authorization: Bearer SECRET;api-key: FOREIGN;
a header twice | 400 | two_credentials | authorization: Bearer SECRET;authorization: Bearer FOREIGN;
";

/// What is wrong, status, our code, outcome, method, path, headers as above, the model of the body.
const PLACES: &str = "
a model that nobody serves | 404 | model_not_found | refused_invalid | POST | /v1/chat/completions | authorization: Bearer SECRET; | gpt-nowhere
a model that the key may not use | 403 | model_not_allowed | refused_policy | POST | /v1/chat/completions | api-key: LIMITED; | gpt-4o-mini
a path without a meter | 404 | unsupported_unmetered | refused_invalid | POST | /v1/rerank | authorization: Bearer SECRET; | gpt-4o
a stored answer | 400 | unsupported_unmetered | refused_invalid | GET | /v1/responses/resp_1 | authorization: Bearer SECRET; |
a deployment that nobody serves | 404 | model_not_found | refused_invalid | POST | /openai/deployments/gpt-nowhere/chat/completions?api-version=2024-10-21 | api-key: SECRET; | gpt-nowhere
a body that names another model than the path | 400 | model_mismatch | refused_invalid | POST | /openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21 | api-key: SECRET; | gpt-4o-mini
a version of the API named twice | 400 | invalid_api_version | refused_invalid | POST | /openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21&api-version=2025-01-01 | api-key: SECRET; | gpt-4o
a deployment that is no text | 400 | invalid_path | refused_invalid | POST | /openai/deployments/%ff/chat/completions?api-version=2024-10-21 | api-key: SECRET; | gpt-4o
a model that is no text | 400 | invalid_path | refused_invalid | GET | /v1/models/%ff | api-key: SECRET; |
a body that is no form | 400 | invalid_content_type | refused_invalid | POST | /v1/audio/transcriptions | authorization: Bearer SECRET; | gpt-4o
the root | 404 | unsupported_unmetered | refused_invalid | GET | / | authorization: Bearer SECRET; |
a path that goes up | 404 | unsupported_unmetered | refused_invalid | POST | /v1/audio/../chat/completions | authorization: Bearer SECRET; | gpt-4o
a query with a key | 400 | unsupported_unmetered | refused_invalid | POST | /v1/files?key=SECRET&prompt=PROMPT | authorization: Bearer SECRET; |
a path without a meter, and no key | 401 | missing_api_key | refused_auth | POST | /v1/files | |
another method | 405 | method_not_allowed | refused_invalid | GET | /v1/chat/completions | authorization: Bearer SECRET; |
another method for the models | 405 | method_not_allowed | refused_invalid | POST | /v1/models | authorization: Bearer SECRET; |
";

/// Calls that are refused at the door.
pub fn refused(carried: &Carried) -> Vec<Case> {
    let lines = |table: &'static str| table.lines().filter(|line| !line.is_empty());
    let mut cases: Vec<Case> = lines(BODIES).map(|line| body(line, carried)).collect();
    cases.extend(lines(CREDENTIALS).map(|line| credential(line, carried)));
    cases.extend(lines(PLACES).map(|line| place(line, carried)));
    cases.extend(bytes(carried));
    cases.extend(framing(carried));
    cases
}

fn fields<const N: usize>(line: &'static str) -> [&'static str; N] {
    let fields: Vec<&str> = line.splitn(N, '|').map(str::trim).collect();
    fields
        .try_into()
        .unwrap_or_else(|_| panic!("`{line}` has not {N} fields"))
}

fn case(
    name: &'static str,
    request: Vec<u8>,
    status: u16,
    code: &'static str,
    outcome: &'static str,
) -> Case {
    Case {
        name,
        pieces: vec![request],
        status,
        code,
        outcome,
        detail: code,
    }
}

/// Puts in what the call carries.
fn fill(template: &str, carried: &Carried) -> String {
    let messages = "\"messages\":[{\"role\":\"user\",\"content\":\"PROMPT\"}]";
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    template
        .replace("MODEL", "\"model\":\"gpt-4o-mini\"")
        .replace("MESSAGES", messages)
        .replace("BOM", "\u{feff}")
        .replace("DEEP30000", &deep(30_000))
        .replace("DEEP200", &deep(200))
        .replace("PROMPT", &carried.prompt)
        .replace("SECRET", &carried.secret)
        .replace("FOREIGN", &carried.foreign)
        .replace("DISABLED", &carried.disabled)
        .replace("LIMITED", &carried.limited)
}

fn body(line: &'static str, carried: &Carried) -> Case {
    let [name, code, template] = fields(line);
    let request = post(
        CHAT,
        &bearer(&carried.secret),
        fill(template, carried).as_bytes(),
    );
    case(name, request, 400, code, "refused_invalid")
}

fn credential(line: &'static str, carried: &Carried) -> Case {
    let [name, status, code, headers] = fields(line);
    let headers = fill(headers, carried).replace(';', "\r\n");
    let body = good_body("gpt-4o-mini", "", false, &carried.prompt);
    let status = status.parse().expect("a status is a number");
    case(
        name,
        post(CHAT, &headers, body.as_bytes()),
        status,
        code,
        "refused_auth",
    )
}

fn place(line: &'static str, carried: &Carried) -> Case {
    let [name, status, code, outcome, method, path, headers, model] = fields(line);
    let headers = fill(headers, carried).replace(';', "\r\n");
    let path = fill(path, carried).replace(' ', "+");
    let body = good_body(model, "", false, &carried.prompt);
    let body = if model.is_empty() { "" } else { &body };
    let request = post(&path, &headers, body.as_bytes());
    // The head begins with the method.
    let request = [method.as_bytes(), &request["POST".len()..]].concat();
    case(
        name,
        request,
        status.parse().expect("a status is a number"),
        code,
        outcome,
    )
}

/// Bodies that are no text.
fn bytes(carried: &Carried) -> Vec<Case> {
    let whole = fill("{MODEL,MESSAGES}", carried).into_bytes();
    let half_a_character = {
        let mut bytes = whole.clone();
        let place = bytes.len() - 4;
        bytes[place] = 0xc3;
        bytes
    };
    let utf16 = whole.iter().flat_map(|byte| [*byte, 0]).collect();
    [
        ("a byte too much", [&whole[..], b"\xff"].concat()),
        ("half a character", half_a_character),
        ("UTF-16", utf16),
        ("a byte that is 0", [&whole[..], b"\0"].concat()),
    ]
    .into_iter()
    .map(|(name, body)| {
        let request = post(CHAT, &bearer(&carried.secret), &body);
        case(name, request, 400, "invalid_json", "refused_invalid")
    })
    .collect()
}

/// Bodies that are compressed, too long, or never whole.
fn framing(carried: &Carried) -> [Case; 5] {
    let headers = bearer(&carried.secret);
    let good = good_body("gpt-4o-mini", "", false, &carried.prompt);
    let long = good.replace(
        "\"role\"",
        &format!("\"name\":\"{}\",\"role\"", "x".repeat(70_000)),
    );
    let invalid =
        |name, request, status, code| case(name, request, status, code, "refused_invalid");
    let gzip = post(
        CHAT,
        &format!("{headers}content-encoding: gzip\r\n"),
        b"\x1f\x8b\x08\x00\x00\x00",
    );
    let announced = post(CHAT, &headers, long.as_bytes());
    let whole = post(CHAT, &headers, good.as_bytes());
    let part = whole[..whole.len() - 20].to_vec();
    let no_chunks = chunked(&headers, "");
    let head = no_chunks.strip_suffix(b"0\r\n\r\n").unwrap_or_default();
    let bad_chunk = [head, b"zz\r\n"].concat();
    [
        invalid("a compressed body", gzip, 400, "compressed_body"),
        invalid(
            "too many bytes, announced",
            announced,
            413,
            "request_too_large",
        ),
        invalid(
            "too many bytes, not announced",
            chunked(&headers, &long),
            413,
            "request_too_large",
        ),
        invalid("a body that does not come", part, 408, "request_timeout"),
        invalid("a chunk without a length", bad_chunk, 400, "malformed_body"),
    ]
}

fn chunked(headers: &str, body: &str) -> Vec<u8> {
    let mut request = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n{headers}transfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for chunk in body.as_bytes().chunks(8_192) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}
