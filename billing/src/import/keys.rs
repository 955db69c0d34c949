//! Keys of another gateway as `[[tenants]]` of our configuration, and what of them it cannot hold.
//!
//! A digest is taken as it is, so the secrets that apps have go on working. Nothing is widened silently: a key whose models
//! are all without a route is written disabled, for an empty list would mean every model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use schemas::{Micros, Text};

use super::litellm_keys::{self, Key, Models};
use super::records::{FileError, Records};
use super::refused::{Refusals, Refused};

/// The most keys of a file: a configuration is read whole.
const MAX_KEYS: usize = 100_000;
/// The project of keys that have none.
const NO_PROJECT: &str = "default";

/// What the export does not say.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// The tenant of keys that belong to no team.
    pub without_team: String,
    /// Names that apps may ask for, each with the model of its route; `None` leaves models unchecked.
    pub routes: Option<BTreeMap<String, String>>,
    /// Now, by which keys have expired or not.
    pub now: Micros,
}

/// Keys that become configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportedKeys {
    /// TOML: `[[tenants]]` with projects and keys.
    pub toml: String,
    /// Keys in it.
    pub keys: usize,
    /// Those of them that are disabled.
    pub disabled: usize,
    /// Keys and records that are not in it.
    pub left_out: usize,
    /// What was not taken: whole keys (no field), and fields of keys that were.
    pub refusals: Refusals,
}

/// Why an export of keys cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// More than a configuration holds.
    #[error("more than {MAX_KEYS} keys: a configuration file is not made for so many")]
    TooMany,
}

/// Reads an export of `LiteLLM`'s keys.
pub fn import_keys(path: &Path, request: &KeyRequest) -> Result<ImportedKeys, KeysError> {
    let mut found = Found {
        request,
        tenants: Tenants::new(),
        names: BTreeSet::new(),
        digests: BTreeSet::new(),
        imported: ImportedKeys::default(),
    };
    let mut records = Records::open(path, litellm_keys::WANTED)?;
    while let Some((line, record)) = records.next()? {
        if found.digests.len() > MAX_KEYS {
            return Err(KeysError::TooMany);
        }
        let (entry, key) = match record {
            Ok(fields) => (
                fields.text("key_alias").to_owned(),
                litellm_keys::key(&fields, request.now),
            ),
            Err(reason) => (String::new(), Err(reason)),
        };
        if let Err(reason) = key.and_then(|key| found.take(line, key)) {
            found.imported.left_out += 1;
            found
                .imported
                .refusals
                .add(Refused::of_line(line, &entry, reason));
        }
    }
    Ok(found.finish())
}

/// Lines of keys by project, by tenant.
type Tenants = BTreeMap<String, BTreeMap<String, Vec<String>>>;

struct Found<'a> {
    request: &'a KeyRequest,
    tenants: Tenants,
    names: BTreeSet<String>,
    digests: BTreeSet<String>,
    imported: ImportedKeys,
}

impl Found<'_> {
    fn take(&mut self, line: usize, mut key: Key) -> Result<(), String> {
        if self.digests.contains(&key.digest) {
            return Err("its secret's digest stands in the file before".to_owned());
        }
        self.name(&mut key);
        let or = |text: String, other: &str| {
            if text.is_empty() {
                other.to_owned()
            } else {
                text
            }
        };
        let tenant = or(std::mem::take(&mut key.tenant), &self.request.without_team);
        let project = or(std::mem::take(&mut key.project), NO_PROJECT);
        for text in [&key.name, &tenant, &project] {
            Text::new(text).map_err(|error| format!("a name of it: {error}"))?;
        }
        self.check_routes(&mut key);
        self.digests.insert(key.digest.clone());
        self.names.insert(key.name.clone());
        for (field, reason) in &key.lost {
            self.imported.refusals.add(Refused {
                line,
                entry: key.name.clone(),
                field: (*field).to_owned(),
                reason: reason.clone(),
            });
        }
        self.imported.keys += 1;
        self.imported.disabled += usize::from(key.disabled);
        let projects = self.tenants.entry(tenant).or_default();
        projects.entry(project).or_default().push(lines(&key));
        Ok(())
    }

    /// A name of its own: aliases may be alike where digests are not.
    fn name(&self, key: &mut Key) {
        if !self.names.contains(&key.name) {
            return;
        }
        let name = format!("{}-{}", key.name, &key.digest[..12]);
        let reason = format!("another key has this name: it is `{name}` here");
        key.lost.push(("key_alias", reason));
        key.name = name;
    }

    /// Models as routes name them. What has no route is left out; what is left with nothing is disabled.
    fn check_routes(&self, key: &mut Key) {
        if let Models::These(models) = &mut key.models {
            if let Some(routes) = &self.request.routes {
                let (known, unknown): (Vec<_>, Vec<_>) = models
                    .drain(..)
                    .partition(|model| routes.contains_key(model));
                for model in unknown {
                    let reason = format!("no route for `{}`: left out", model.escape_debug());
                    key.lost.push(("models", reason));
                }
                let names: BTreeSet<_> =
                    known.iter().filter_map(|model| routes.get(model)).collect();
                *models = names.into_iter().cloned().collect();
            }
            if models.is_empty() {
                key.models = Models::None;
            }
        }
        if key.models == Models::None {
            key.disabled = true;
            let reason =
                "no model is left that it may use, and an empty list means all: it is disabled";
            key.lost.push(("models", reason.to_owned()));
        }
    }

    fn finish(mut self) -> ImportedKeys {
        let mut toml = String::from(
            "# Keys of a LiteLLM export: their digests, so the secrets that apps have go on working.\n\
             # Comments say what a key had there and does not have here.\n",
        );
        if self.request.routes.is_none() {
            toml.push_str("# Models were not compared with routes: each one needs a route, or the file is refused.\n");
        }
        for (tenant, projects) in &self.tenants {
            put(
                &mut toml,
                format_args!("\n[[tenants]]\nid = {}\n", quoted(tenant)),
            );
            for (project, keys) in projects {
                let project = quoted(project);
                put(
                    &mut toml,
                    format_args!("\n[[tenants.projects]]\nid = {project}\nkeys = [\n"),
                );
                toml.push_str(&keys.concat());
                toml.push_str("]\n");
            }
        }
        self.imported.toml = toml;
        self.imported
    }
}

/// A key as lines of a list, with its comment before it.
fn lines(key: &Key) -> String {
    let mut text = String::new();
    if !key.had.is_empty() {
        let had: Vec<_> = key
            .had
            .iter()
            .map(|(name, value)| format!("{name} = {}", quoted(value)))
            .collect();
        put(&mut text, format_args!("  # there: {}\n", had.join(", ")));
    }
    put(
        &mut text,
        format_args!(
            "  {{ id = {}, sha256 = \"{}\"",
            quoted(&key.name),
            key.digest
        ),
    );
    if let Models::These(models) = &key.models {
        let models: Vec<_> = models.iter().map(|model| quoted(model)).collect();
        put(
            &mut text,
            format_args!(", models = [{}]", models.join(", ")),
        );
    }
    if key.disabled {
        text.push_str(", disabled = true");
    }
    text.push_str(" },\n");
    text
}

/// Writing to a text cannot fail.
fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(what);
    debug_assert!(written.is_ok(), "a text takes everything");
}

/// A text of TOML on one line: line ends and quotes of a name are escaped, also in a comment.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => put(&mut quoted, format_args!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
