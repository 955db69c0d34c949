//! Signed notes and their keys, as C2SP `signed-note` defines them: a text, an empty line, and a line
//! `— <name> <base64 of four bytes of the key's id, then the signature>`. The form of keys is that of Go's package
//! `sumdb/note`, whose tools read both.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

/// Ed25519, in a key and in its id.
const ED25519_TYPE: u8 = 1;
const PRIVATE: &str = "PRIVATE+KEY+";
const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 4;
const SIGNATURE_BYTES: usize = 64;
/// A statement of a day with everything missing that is listed is far below.
const MAX_NOTE_BYTES: usize = 64 << 20;

/// Not a key. The text never holds a part of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadKey {
    /// The name.
    #[error(
        "`{0}` cannot name a key: no blank, no `+`, 1 to 128 bytes, such as example.com/tollgate"
    )]
    Name(String),
    /// Not a public key.
    #[error(
        "not a public key: one looks like NAME+0123abcd+AX…, as `tollgate statement keygen` prints it"
    )]
    Public,
    /// Not a private key.
    #[error("not a private key, as `tollgate statement keygen` writes it")]
    Private,
    /// There is no randomness.
    #[error("the system gives no randomness, so no key was made")]
    NoRandomness,
}

/// Not a note that the key has signed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadNote {
    /// The form.
    #[error("not a signed note: {0}")]
    Form(&'static str),
    /// Another key.
    #[error("it is not signed by the key {0}")]
    OtherKey(String),
    /// The signature.
    #[error(
        "its signature does not fit: it was changed after it was signed, or another key of the same name signed it"
    )]
    Signature,
}

/// Checks notes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: [u8; KEY_BYTES],
}

/// Signs notes. Its `Debug` shows the public part.
pub struct SigningKey {
    seed: [u8; KEY_BYTES],
    public: PublicKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public).finish()
    }
}

impl PublicKey {
    /// Reads what [`PublicKey`]'s `Display` writes.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let (name, id, key) = parts(text.trim()).ok_or(BadKey::Public)?;
        let public = Self {
            name: checked(name)?,
            key,
        };
        if public.id() != id {
            return Err(BadKey::Public);
        }
        Ok(public)
    }

    /// Who signs by it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; ID_BYTES] {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519_TYPE])
            .chain_update(self.key)
            .finalize()
            .into();
        let [a, b, c, d, ..] = digest;
        [a, b, c, d]
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", shown(&self.name, self.id(), &self.key))
    }
}

impl SigningKey {
    /// Makes a key.
    pub fn generate(name: &str) -> Result<Self, BadKey> {
        let mut seed = [0; KEY_BYTES];
        SystemRandom::new()
            .fill(&mut seed)
            .map_err(|_| BadKey::NoRandomness)?;
        Self::of_seed(name, seed)
    }

    fn of_seed(name: &str, seed: [u8; KEY_BYTES]) -> Result<Self, BadKey> {
        let name = checked(name)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| BadKey::Private)?;
        let key = pair.public_key().as_ref().try_into();
        let public = PublicKey {
            name,
            key: key.map_err(|_| BadKey::Private)?,
        };
        Ok(Self { seed, public })
    }

    /// Reads what [`SigningKey::secret_text`] gives.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let text = text.trim().strip_prefix(PRIVATE).ok_or(BadKey::Private)?;
        let (name, id, seed) = parts(text).ok_or(BadKey::Private)?;
        let key = Self::of_seed(name, seed)?;
        if key.public.id() != id {
            return Err(BadKey::Private);
        }
        Ok(key)
    }

    /// The key as it is kept in a file that nobody else may read.
    #[must_use]
    pub fn secret_text(&self) -> String {
        let name = &self.public.name;
        format!("{PRIVATE}{}\n", shown(name, self.public.id(), &self.seed))
    }

    /// Who checks what it signs.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The note of a text, which ends with a line end and holds no other control character.
    pub fn sign(&self, text: &str) -> Result<String, BadNote> {
        check_text(text)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(&self.seed)
            .map_err(|_| BadNote::Form("the key cannot sign"))?;
        let mut signature = self.public.id().to_vec();
        signature.extend_from_slice(pair.sign(text.as_bytes()).as_ref());
        let (name, signature) = (&self.public.name, BASE64_STANDARD.encode(signature));
        Ok(format!("{text}\n\u{2014} {name} {signature}\n"))
    }
}

/// The text of a note, if the key has signed it. Signatures of others are passed over.
pub fn open<'a>(note: &'a [u8], key: &PublicKey) -> Result<&'a str, BadNote> {
    if note.len() > MAX_NOTE_BYTES {
        return Err(BadNote::Form("it is too large"));
    }
    let note = std::str::from_utf8(note).map_err(|_| BadNote::Form("it is not UTF-8"))?;
    let split = note
        .rfind("\n\n")
        .ok_or(BadNote::Form("no empty line stands before its signatures"))?;
    let (text, signatures) = (&note[..=split], &note[split + 2..]);
    check_text(text)?;
    if !signatures.ends_with('\n') {
        return Err(BadNote::Form("its last line has no end"));
    }
    let mut checked = false;
    for line in signatures.lines() {
        let signature = line
            .strip_prefix("\u{2014} ")
            .and_then(|line| line.split_once(' '));
        let (name, signature) = signature.ok_or(BadNote::Form("a signature line is malformed"))?;
        let signature = BASE64_STANDARD
            .decode(signature)
            .map_err(|_| BadNote::Form("a signature is not base64"))?;
        let (id, signature) = signature
            .split_first_chunk::<ID_BYTES>()
            .ok_or(BadNote::Form("a signature is too short"))?;
        if name != key.name || *id != key.id() {
            continue;
        }
        if signature.len() != SIGNATURE_BYTES {
            return Err(BadNote::Signature);
        }
        UnparsedPublicKey::new(&ED25519, key.key)
            .verify(text.as_bytes(), signature)
            .map_err(|_| BadNote::Signature)?;
        checked = true;
    }
    if !checked {
        return Err(BadNote::OtherKey(key.to_string()));
    }
    Ok(text)
}

fn check_text(text: &str) -> Result<(), BadNote> {
    if !text.ends_with('\n') || text.contains(|c: char| c.is_ascii_control() && c != '\n') {
        return Err(BadNote::Form(
            "its text does not end with a line end, or holds control characters",
        ));
    }
    Ok(())
}

fn checked(name: &str) -> Result<String, BadKey> {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    if name.is_empty() || name.len() > 128 || !name.chars().all(fits) {
        return Err(BadKey::Name(name.chars().take(64).collect()));
    }
    Ok(name.to_owned())
}

fn shown(name: &str, id: [u8; ID_BYTES], key: &[u8; KEY_BYTES]) -> String {
    let mut typed = vec![ED25519_TYPE];
    typed.extend_from_slice(key);
    format!(
        "{name}+{}+{}",
        hex::encode(id),
        BASE64_STANDARD.encode(typed)
    )
}

fn parts(text: &str) -> Option<(&str, [u8; ID_BYTES], [u8; KEY_BYTES])> {
    let mut parts = text.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, parts.next()?);
    let id = hex::decode(id).ok()?.try_into().ok()?;
    let key = BASE64_STANDARD.decode(key).ok()?;
    let (kind, key) = key.split_first()?;
    let key = key.try_into().ok()?;
    (*kind == ED25519_TYPE).then_some((name, id, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Go's package `sumdb/note`, whose keys and note are published in its documentation.
    #[test]
    fn the_published_example_of_another_implementation_opens() {
        let key =
            PublicKey::parse("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
                .expect("the published key");
        let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
            \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let text = open(note.as_bytes(), &key).expect("the published signature");
        assert!(text.ends_with("what your problem is.\n"));
    }

    #[test]
    fn a_key_is_read_as_it_was_written_and_does_not_show_itself() {
        let key = SigningKey::generate("example.com/x").expect("a key");
        let again = SigningKey::parse(&key.secret_text()).expect("the same");
        assert_eq!(again.public(), key.public());
        let public = key.public().to_string();
        assert_eq!(PublicKey::parse(&public).as_ref(), Ok(key.public()));
        let secret = key.secret_text();
        // The last part may have a `+` of its own.
        let secret = secret.trim().splitn(5, '+').last().expect("a part");
        assert!(secret.len() > 40, "the whole of it");
        assert!(!format!("{key:?}").contains(secret));
        let other = public.replace("example.com/x", "example.com/y");
        assert_eq!(PublicKey::parse(&other), Err(BadKey::Public));
        assert!(SigningKey::parse(&public).is_err());
        assert!(matches!(SigningKey::generate("a b"), Err(BadKey::Name(_))));
    }

    #[test]
    fn every_changed_byte_is_refused() {
        let key = SigningKey::of_seed("k", [7; 32]).expect("a key");
        let note = key.sign("{\"a\":1}\n").expect("a note");
        assert_eq!(open(note.as_bytes(), key.public()), Ok("{\"a\":1}\n"));
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut changed = note.clone().into_bytes();
                changed[at] ^= 1 << bit;
                assert!(
                    open(&changed, key.public()).is_err(),
                    "byte {at}, bit {bit}"
                );
            }
        }
        let other = SigningKey::of_seed("k", [8; 32]).expect("a key");
        assert!(matches!(
            open(note.as_bytes(), other.public()),
            Err(BadNote::OtherKey(_))
        ));
    }
}
