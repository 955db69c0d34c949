//! Reading a request: the pairs of its URL or form, and the query they carry. No engine, no answer.

use super::auth::Claimed;
use super::refusal::Refusal;
use super::settings::SessionSettings;
use crate::User;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};
use hyper::{HeaderMap, Uri};

/// Most pairs that a URL or a form may have.
const MAX_PAIRS: usize = 200;

/// The pairs of a request's URL, in order.
#[derive(Debug, Default)]
pub(super) struct Pairs(Vec<(String, String)>);

/// What the pairs say, once the user is known.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) query: String,
    pub(super) database: Option<String>,
    pub(super) format: String,
    pub(super) settings: SessionSettings,
}

impl Pairs {
    pub(super) fn of(uri: &Uri) -> Result<Self, Refusal> {
        let Some(query) = uri.query() else {
            return Ok(Self::default());
        };
        let url = reqwest::Url::parse(&format!("http://localhost/?{query}"))
            .map_err(|_| Refusal::bad_arguments("the request's URL cannot be read"))?;
        let pairs: Vec<_> = url
            .query_pairs()
            .take(MAX_PAIRS + 1)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        if pairs.len() > MAX_PAIRS {
            return Err(Refusal::bad_arguments(
                "the request's URL has too many parameters",
            ));
        }
        Ok(Self(pairs))
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn claimed(&self) -> Option<Claimed> {
        let (user, password) = (self.value("user"), self.value("password"));
        (user.is_some() || password.is_some())
            .then(|| Claimed::new(user.unwrap_or_default(), password.unwrap_or_default()))
    }

    /// Adds the fields of a form, as clients send a query with parameters.
    pub(super) fn add_form(&mut self, fields: Vec<(String, String)>) {
        self.0.extend(fields);
    }

    /// The query's id, if it may stand in a header.
    pub(super) fn query_id(&self) -> Option<&str> {
        self.value("query_id")
            .filter(|id| id.len() <= 100 && id.bytes().all(|byte| byte.is_ascii_graphic()))
    }

    pub(super) fn into_asked(self, user: User) -> Result<Asked, Refusal> {
        let mut asked = Asked {
            format: "TabSeparated".to_owned(),
            ..Asked::default()
        };
        for (name, value) in self.0 {
            match name.as_str() {
                "query" => asked.query.push_str(&value),
                "database" => asked.database = Some(value).filter(|name| !name.is_empty()),
                "default_format" if is_plain(&value) => asked.format = value,
                "user" | "password" => {}
                name => asked.settings.add(user, name, &value)?,
            }
        }
        Ok(asked)
    }

    /// Headers of ClickHouse's own that say the same as a pair.
    pub(super) fn add_headers(&mut self, headers: &HeaderMap) {
        for (header, name) in [
            ("x-clickhouse-database", "database"),
            ("x-clickhouse-format", "default_format"),
        ] {
            if let Some(value) = headers.get(header).and_then(|value| value.to_str().ok()) {
                self.0.push((name.to_owned(), value.to_owned()));
            }
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.len() <= 100 && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// How the body is compressed, as the engine names it; `None` if it is not.
pub(super) fn compression(headers: &HeaderMap) -> Result<Option<&'static str>, Refusal> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else {
        return Ok(None);
    };
    match encoding.as_bytes() {
        b"identity" => Ok(None),
        b"gzip" => Ok(Some("gzip")),
        b"zstd" => Ok(Some("zstd")),
        _ => Err(Refusal::not_offered(
            "a request body compressed otherwise than by gzip or zstd",
        )),
    }
}

/// The boundary, if the body is a form in parts.
pub(super) fn form_boundary(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let rest = value.strip_prefix("multipart/form-data;")?.trim_start();
    let boundary = rest.strip_prefix("boundary=")?.trim_matches('"');
    (!boundary.is_empty() && boundary.len() <= 70).then(|| boundary.to_owned())
}

/// The fields of a form in parts: names and values only; a part that is a file (external data) is refused.
pub(super) fn read_form(body: &[u8], boundary: &str) -> Result<Vec<(String, String)>, Refusal> {
    let broken = || Refusal::bad_arguments("the form in the request's body cannot be read");
    let text = std::str::from_utf8(body).map_err(|_| broken())?;
    let opening = format!("--{boundary}\r\n");
    let between = format!("\r\n--{boundary}");
    let mut rest = text.strip_prefix(opening.as_str()).ok_or_else(broken)?;
    let mut fields = Vec::new();
    loop {
        let (head, after_head) = rest.split_once("\r\n\r\n").ok_or_else(broken)?;
        let (value, after_value) = after_head.split_once(between.as_str()).ok_or_else(broken)?;
        if head.contains("filename=") {
            return Err(Refusal::not_offered("external data"));
        }
        let name = head
            .split("name=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next())
            .ok_or_else(broken)?;
        fields.push((name.to_owned(), value.to_owned()));
        if fields.len() > MAX_PAIRS {
            return Err(broken());
        }
        match after_value.strip_prefix("\r\n") {
            Some(next) => rest = next,
            None if after_value.starts_with("--") => return Ok(fields),
            None => return Err(broken()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_bounded() {
        let uri: Uri = "/?query=SELECT%20%27%2B%27&database=d&default_format=JSON"
            .parse()
            .unwrap();
        let asked = Pairs::of(&uri).unwrap().into_asked(User::Reader).unwrap();
        assert_eq!(
            (asked.query.as_str(), asked.format.as_str()),
            ("SELECT '+'", "JSON")
        );
        assert_eq!(asked.database.as_deref(), Some("d"));
        let many: Uri = format!("/?{}", "a=1&".repeat(201)).parse().unwrap();
        assert!(Pairs::of(&many).is_err());
        let refused: Uri = "/?user_files_path=x".parse().unwrap();
        assert!(
            Pairs::of(&refused)
                .unwrap()
                .into_asked(User::Reader)
                .is_err()
        );
    }

    #[test]
    fn a_form_gives_its_fields() {
        let body = "--B\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:String}\r\n--B\r\n\
                    Content-Disposition: form-data; name=\"param_a\"\r\n\r\nx\r\ny\r\n--B--\r\n";
        let fields = read_form(body.as_bytes(), "B").unwrap();
        assert_eq!(
            fields,
            [
                ("query".into(), "SELECT {a:String}".into()),
                ("param_a".to_owned(), "x\r\ny".to_owned())
            ]
        );
        for broken in [
            "",
            "--B\r\n",
            "--B\r\n\r\n\r\n--B--",
            "--B\r\nx; name=\"a\"; filename=\"f\"\r\n\r\n1\r\n--B--",
        ] {
            assert!(read_form(broken.as_bytes(), "B").is_err(), "{broken}");
        }
    }
}
