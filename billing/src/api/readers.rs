//! Who may read: verifying a bearer token, and what its holder sees. No secret is kept, only digests.

use std::fmt;
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::api::error::ApiError;
use crate::api::settings::{May, ReaderSettings, Settings, Tenants};

/// The readers of the configuration are wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{message}")]
pub struct BadReaders {
    /// What stands at the place in the file.
    pub needle: String,
    /// What is wrong, and the way out.
    pub message: String,
}

/// All readers that are in force.
#[derive(Debug, Default)]
pub struct Readers {
    readers: Vec<Arc<Reader>>,
}

/// One of them.
pub(super) struct Reader {
    pub(super) name: String,
    pub(super) tenants: Tenants,
    pub(super) may: Vec<May>,
    /// Its share of what runs and waits.
    pub(super) places: Arc<Semaphore>,
    digest: [u8; 32],
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Readers {
    /// Checks the readers of the settings.
    ///
    /// # Errors
    /// Where two have one name or secret, a digest is none, or one may see or do nothing.
    pub fn of(settings: &Settings) -> Result<Self, BadReaders> {
        let mut readers = Vec::<Arc<Reader>>::new();
        for given in &settings.readers {
            let reader = Reader::of(given, settings.of_one_reader)?;
            if readers.iter().any(|known| known.name == reader.name) {
                let message = format!("reader `{}` stands twice", reader.name);
                return Err(bad(&given.name, message));
            }
            if readers.iter().any(|known| known.digest == reader.digest) {
                let message = format!("reader `{}` has the secret of another reader", reader.name);
                return Err(bad(&given.name, message));
            }
            readers.push(Arc::new(reader));
        }
        Ok(Self { readers })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.readers.len()
    }

    /// Whose token a request carries.
    pub(super) fn verify(&self, headers: &HeaderMap) -> Result<Arc<Reader>, ApiError> {
        let token = bearer(headers).ok_or_else(ApiError::no_token)?;
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut found = None;
        // All are compared, each in constant time: how long it takes says nothing of which came near.
        for reader in &self.readers {
            if bool::from(reader.digest.ct_eq(&digest)) {
                found = Some(reader.clone());
            }
        }
        found.ok_or_else(ApiError::wrong_token)
    }
}

/// The one token of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, more) = (values.next()?, values.next());
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer ");
    let token = token.trim_ascii();
    (more.is_none() && is_bearer && !token.is_empty()).then_some(token)
}

impl Reader {
    fn of(given: &ReaderSettings, places: usize) -> Result<Self, BadReaders> {
        let name = &given.name;
        if name.is_empty() || name.len() > 64 {
            let message = "a reader's `name` has 1 to 64 bytes".to_owned();
            return Err(bad(name, message));
        }
        let mut digest = [0; 32];
        hex::decode_to_slice(&given.secret_sha256, &mut digest).map_err(|_| {
            let message = format!(
                "reader `{name}`: secret_sha256 must be 64 hex digits: `tollgate key new {name}` makes a secret and its digest"
            );
            bad(name, message)
        })?;
        if matches!(&given.tenants, Tenants::Only(list) if list.is_empty()) {
            let message =
                format!("reader `{name}` sees no tenant: name some in `tenants`, or write \"all\"");
            return Err(bad(name, message));
        }
        if given.may.is_empty() {
            let message = format!(
                "reader `{name}` may do nothing: write `may` = some of \"reports\", \"audit\", \"exports\""
            );
            return Err(bad(name, message));
        }
        Ok(Self {
            name: name.clone(),
            tenants: given.tenants.clone(),
            may: given.may.clone(),
            places: Arc::new(Semaphore::new(places)),
            digest,
        })
    }

    /// Whether it may ask for this kind.
    pub(super) fn demand(&self, what: May) -> Result<(), ApiError> {
        if self.may.contains(&what) {
            return Ok(());
        }
        Err(ApiError::not_allowed(what))
    }

    /// Whether it sees everybody, and so what belongs to nobody.
    pub(super) fn sees_all(&self) -> bool {
        matches!(self.tenants, Tenants::All(_))
    }

    /// The one tenant that an answer is about; `None` is everybody. What is not this reader's is refused alike whether
    /// it exists or not.
    pub(super) fn tenant(&self, asked: Option<&str>) -> Result<Option<String>, ApiError> {
        let own = match &self.tenants {
            Tenants::All(_) => return Ok(asked.map(str::to_owned)),
            Tenants::Only(own) => own,
        };
        match (asked, own.as_slice()) {
            (None, [only]) => Ok(Some(only.clone())),
            (None, several) => Err(ApiError::several_tenants(several)),
            (Some(asked), own) if own.iter().any(|name| name == asked) => {
                Ok(Some(asked.to_owned()))
            }
            (Some(_), own) => Err(ApiError::other_tenant(own)),
        }
    }
}

fn bad(needle: &str, message: String) -> BadReaders {
    BadReaders {
        needle: needle.to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(readers: &str) -> Result<Readers, BadReaders> {
        Readers::of(&toml::from_str(readers).expect("settings"))
    }

    fn reader(name: &str, secret: &str, rest: &str) -> String {
        let digest = hex::encode(Sha256::digest(secret));
        format!("[[readers]]\nname = \"{name}\"\nsecret_sha256 = \"{digest}\"\n{rest}\n")
    }

    fn given(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_token_finds_its_reader_and_no_other_form_does() {
        let text = reader("a", "one", "tenants = \"all\"\nmay = [\"reports\"]")
            + &reader("b", "two", "tenants = [\"x\"]\nmay = [\"audit\"]");
        let readers = settings(&text).unwrap();
        assert_eq!(readers.verify(&given("Bearer two")).unwrap().name, "b");
        assert_eq!(readers.verify(&given("bearer  one ")).unwrap().name, "a");
        for wrong in ["Bearer three", "Bearer ", "Basic two", "two", "Bearertwo"] {
            assert!(readers.verify(&given(wrong)).is_err(), "{wrong}");
        }
        let mut twice = given("Bearer one");
        twice.append(header::AUTHORIZATION, "Bearer two".parse().unwrap());
        assert!(readers.verify(&twice).is_err());
        assert!(readers.verify(&HeaderMap::new()).is_err());
    }

    #[test]
    fn a_reader_of_tenants_sees_these_alone() {
        let text = reader("one", "1", "tenants = [\"x\"]\nmay = [\"reports\"]")
            + &reader("two", "2", "tenants = [\"x\", \"y\"]\nmay = [\"reports\"]")
            + &reader("all", "3", "tenants = \"all\"\nmay = [\"reports\"]");
        let readers = settings(&text).unwrap();
        let of = |token: &str, asked| {
            let reader = readers.verify(&given(&format!("Bearer {token}"))).unwrap();
            reader.tenant(asked).ok()
        };
        let x = || Some(Some("x".to_owned()));
        assert_eq!([of("1", None), of("1", Some("x"))], [x(), x()]);
        assert_eq!([of("2", Some("x")), of("3", Some("x"))], [x(), x()]);
        assert_eq!(of("2", None), None, "it must say which");
        for other in ["y", "", "X", "x ", "x,y", "nobody"] {
            assert_eq!(of("1", Some(other)), None, "{other}");
        }
        assert_eq!(of("3", None), Some(None));
    }

    #[test]
    fn wrong_readers_are_refused_with_the_way_out() {
        let all = "tenants = \"all\"\nmay = [\"reports\"]";
        let wrong = [
            (reader("a", "1", all) + &reader("a", "2", all), "twice"),
            (
                reader("a", "1", all) + &reader("b", "1", all),
                "secret of another",
            ),
            (
                reader("a", "1", "tenants = []\nmay = [\"audit\"]"),
                "sees no tenant",
            ),
            (
                reader("a", "1", "tenants = \"all\"\nmay = []"),
                "may do nothing",
            ),
            (reader("", "1", all), "64 bytes"),
            (
                format!("[[readers]]\nname = \"a\"\nsecret_sha256 = \"abc\"\n{all}"),
                "tollgate key new a",
            ),
        ];
        for (text, words) in wrong {
            let error = settings(&text).unwrap_err();
            assert!(error.message.contains(words), "{error}");
        }
        assert!(
            toml::from_str::<Settings>(&reader("a", "1", "tenants = \"some\"\nmay = []")).is_err()
        );
    }
}
