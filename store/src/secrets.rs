//! The two users of the embedded engine and their passwords: made once per data directory, kept in files of mode 0600 that
//! the engine's process cannot read. Nothing here may print a password.

use crate::DataDir;
use rustix::fs::{Mode, OFlags};
use std::fmt;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Longest password file that is read, in bytes.
const MAX_PASSWORD_BYTES: u64 = 256;

/// Who may speak to the embedded engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Tollgate itself: reads and writes.
    Writer,
    /// People and their tools: reads only.
    Reader,
}

impl User {
    /// The name to log in with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Writer => "tollgate",
            Self::Reader => "reader",
        }
    }

    fn file_name(self) -> &'static str {
        match self {
            Self::Writer => "engine-writer",
            Self::Reader => "engine-reader",
        }
    }
}

/// A password; its text never shows in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Takes a password as it is.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the moment it is sent.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn generate() -> Self {
        Self(hex::encode(rand::random::<[u8; 32]>()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The passwords of both users of one data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Of [`User::Writer`].
    pub writer: Password,
    /// Of [`User::Reader`].
    pub reader: Password,
}

/// Passwords could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The file system said no.
    #[error("cannot use {}: {source}; the data directory must belong to, and be writable by, the user who runs tollgate", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A password file that others may read, or that is no password.
    #[error("{} {reason}; remove the file, a new password is made at the next start", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Credentials {
    /// Reads both passwords, making those that are missing.
    pub fn open_or_create(data_dir: &DataDir) -> Result<Self, SecretsError> {
        let folder = data_dir.secrets();
        create_private_folder(&folder)?;
        Ok(Self {
            writer: open_or_create(&folder, User::Writer)?,
            reader: open_or_create(&folder, User::Reader)?,
        })
    }

    /// The password of one user.
    pub fn of(&self, user: User) -> &Password {
        match user {
            User::Writer => &self.writer,
            User::Reader => &self.reader,
        }
    }
}

/// Creates a folder, and those above it, that only its owner may enter.
pub(crate) fn create_private_folder(folder: &Path) -> Result<(), SecretsError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|source| io_error(folder, source))
}

fn open_or_create(folder: &Path, user: User) -> Result<Password, SecretsError> {
    let path = folder.join(user.file_name());
    loop {
        match read(&path) {
            Err(SecretsError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound => {}
            other => return other,
        }
        match create(folder, &path) {
            // Another process was faster: its password counts.
            Err(SecretsError::Io { source, .. })
                if source.kind() == std::io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
}

fn read(path: &Path) -> Result<Password, SecretsError> {
    let descriptor = rustix::fs::open(
        path,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| io_error(path, errno.into()))?;
    let file = std::fs::File::from(descriptor);
    let stat = rustix::fs::fstat(&file).map_err(|errno| io_error(path, errno.into()))?;
    if stat.st_mode & 0o077 != 0 {
        return Err(unfit(
            path,
            "may be read by others than its owner (mode must be 0600)",
        ));
    }
    let mut text = String::new();
    file.take(MAX_PASSWORD_BYTES)
        .read_to_string(&mut text)
        .map_err(|source| io_error(path, source))?;
    let text = text.trim();
    if text.len() < 32 {
        return Err(unfit(path, "holds no password of 32 characters or more"));
    }
    Ok(Password::new(text))
}

/// Writes aside and links into place, so that a password file is never seen half-written.
fn create(folder: &Path, path: &Path) -> Result<Password, SecretsError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let password = Password::generate();
    let aside = folder.join(format!(".new-{}", hex::encode(rand::random::<[u8; 8]>())));
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| {
            file.write_all(password.0.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .and_then(|()| std::fs::hard_link(&aside, path));
    // Only tidying: a file left aside is mode 0600 and never read.
    drop(std::fs::remove_file(&aside));
    written.map_err(|source| io_error(path, source))?;
    Ok(password)
}

fn io_error(path: &Path, source: std::io::Error) -> SecretsError {
    SecretsError::Io {
        path: path.to_owned(),
        source,
    }
}

fn unfit(path: &Path, reason: &'static str) -> SecretsError {
    SecretsError::Unfit {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn passwords_are_made_once_private_and_unlike() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::new(folder.path().join("data"));
        let first = Credentials::open_or_create(&data_dir).unwrap();
        assert_eq!(first, Credentials::open_or_create(&data_dir).unwrap());
        assert_ne!(first.writer, first.reader);
        for name in ["engine-writer", "engine-reader"] {
            let mode = std::fs::metadata(data_dir.secrets().join(name))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(std::fs::read_dir(data_dir.secrets()).unwrap().count(), 2);
        assert_eq!(format!("{:?}", first.writer), "Password(…)");
    }

    #[test]
    fn a_password_file_open_to_others_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let data_dir = DataDir::new(folder.path());
        Credentials::open_or_create(&data_dir).unwrap();
        let path = data_dir.secrets().join("engine-reader");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = Credentials::open_or_create(&data_dir).unwrap_err();
        assert!(matches!(error, SecretsError::Unfit { .. }), "{error}");
    }
}
