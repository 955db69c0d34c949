//! Who is speaking: passwords and the Host header. It keeps digests only, so that the process's memory holds no password.

use super::refusal::Refusal;
use crate::{Credentials, User};
use base64::Engine as _;
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HOST};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The digests of the two passwords, and the port that a Host header must name.
pub(super) struct Gatekeeper {
    writer: [u8; 32],
    reader: [u8; 32],
    port: u16,
}

/// A user and a password as a request claims them, from one place of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    user: String,
    password: String,
}

impl Claimed {
    pub(super) fn new(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            password: password.into(),
        }
    }
}

impl Gatekeeper {
    pub(super) fn new(credentials: &Credentials, port: u16) -> Self {
        Self {
            writer: digest(credentials.writer.expose()),
            reader: digest(credentials.reader.expose()),
            port,
        }
    }

    /// A page in a browser that was lured to our address by DNS sends its own name as Host.
    pub(super) fn check_host(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (
            hosts.next().and_then(|host| host.to_str().ok()),
            hosts.next(),
        ) else {
            return Err(Refusal::bad_arguments("the request needs one Host header"));
        };
        let named = host.rsplit_once(':');
        let fits = named.is_some_and(|(name, port)| {
            ["127.0.0.1", "localhost", "[::1]"].contains(&name.to_ascii_lowercase().as_str())
                && port.parse() == Ok(self.port)
        });
        if fits {
            Ok(())
        } else {
            Err(Refusal::bad_arguments(
                "the Host header must name this machine's loopback and port",
            ))
        }
    }

    /// The user whose password was given. Both digests are compared whoever is claimed, in constant time.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        in_url: Option<Claimed>,
    ) -> Result<User, Refusal> {
        let mut claims = [from_own_headers(headers), from_basic(headers)?, in_url]
            .into_iter()
            .flatten();
        let (Some(claim), None) = (claims.next(), claims.next()) else {
            return Err(Refusal::unauthorised());
        };
        let given = digest(&claim.password);
        let is_writer =
            given.ct_eq(&self.writer) & claim.user.as_bytes().ct_eq(User::Writer.name().as_bytes());
        let is_reader =
            given.ct_eq(&self.reader) & claim.user.as_bytes().ct_eq(User::Reader.name().as_bytes());
        match (bool::from(is_writer), bool::from(is_reader)) {
            (true, _) => Ok(User::Writer),
            (_, true) => Ok(User::Reader),
            (false, false) => Err(Refusal::unauthorised()),
        }
    }
}

fn digest(password: &str) -> [u8; 32] {
    Sha256::digest(password.as_bytes()).into()
}

fn from_own_headers(headers: &HeaderMap) -> Option<Claimed> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (user, key) = (text("x-clickhouse-user"), text("x-clickhouse-key"));
    (user.is_some() || key.is_some())
        .then(|| Claimed::new(user.unwrap_or_default(), key.unwrap_or_default()))
}

fn from_basic(headers: &HeaderMap) -> Result<Option<Claimed>, Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let decoded = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, encoded)| {
            base64::engine::general_purpose::STANDARD
                .decode(encoded.trim())
                .ok()
        })
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let claimed = decoded.as_deref().and_then(|text| text.split_once(':'));
    claimed
        .map(|(user, password)| Some(Claimed::new(user, password)))
        .ok_or_else(Refusal::unauthorised)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Password;

    fn gatekeeper() -> Gatekeeper {
        Gatekeeper::new(
            &Credentials {
                writer: Password::new("w"),
                reader: Password::new("r"),
            },
            8123,
        )
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    hyper::header::HeaderName::from_static(name),
                    value.parse().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn each_place_of_a_password_works_and_two_at_once_do_not() {
        let gate = gatekeeper();
        let own = headers(&[("x-clickhouse-user", "tollgate"), ("x-clickhouse-key", "w")]);
        assert_eq!(gate.authenticate(&own, None), Ok(User::Writer));
        assert!(
            gate.authenticate(&own, Some(Claimed::new("reader", "r")))
                .is_err()
        );
        let basic = headers(&[("authorization", "Basic cmVhZGVyOnI=")]);
        assert_eq!(gate.authenticate(&basic, None), Ok(User::Reader));
        assert_eq!(
            gate.authenticate(&HeaderMap::new(), Some(Claimed::new("reader", "r"))),
            Ok(User::Reader)
        );
        for (user, password) in [
            ("reader", "w"),
            ("tollgate", "r"),
            ("default", ""),
            ("reader", ""),
            ("", "r"),
        ] {
            assert!(
                gate.authenticate(&HeaderMap::new(), Some(Claimed::new(user, password)))
                    .is_err(),
                "{user}"
            );
        }
        assert!(gate.authenticate(&HeaderMap::new(), None).is_err());
        assert!(
            gate.authenticate(&headers(&[("authorization", "Bearer x")]), None)
                .is_err()
        );
    }

    #[test]
    fn the_host_is_this_machine_and_port() {
        let gate = gatekeeper();
        for host in [
            "127.0.0.1:8123",
            "localhost:8123",
            "LOCALHOST:8123",
            "[::1]:8123",
        ] {
            assert!(
                gate.check_host(&headers(&[("host", host)])).is_ok(),
                "{host}"
            );
        }
        for host in [
            "127.0.0.1",
            "127.0.0.1:81",
            "evil.example:8123",
            "127.0.0.1.evil.example:8123",
            "",
        ] {
            assert!(
                gate.check_host(&headers(&[("host", host)])).is_err(),
                "{host}"
            );
        }
        assert!(gate.check_host(&HeaderMap::new()).is_err());
    }
}
