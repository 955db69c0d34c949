//! Where each target starts from: the corpus of answers, the golden records, and files written by hand in `fuzz/seeds`;
//! what was found before, in `fuzz/findings`.

use std::fs;
use std::path::{Path, PathBuf};

use gateway::meter::dialect::Dialect;
use schemas::Api;

use crate::Target;
use crate::dialects::number_of;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The files of a folder, in the order of their names; none where there is no folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
}

type Seed = (String, Vec<u8>);

fn read(path: &Path) -> std::io::Result<Seed> {
    Ok((path.to_string_lossy().into_owned(), fs::read(path)?))
}

/// What was found before: must hold for ever.
pub fn findings(target: &Target) -> std::io::Result<Vec<Seed>> {
    files(&root().join("findings").join(target.name))
        .iter()
        .map(|path| read(path))
        .collect()
}

/// Where the target starts from.
pub fn seeds(target: &Target) -> std::io::Result<Vec<Seed>> {
    let mut seeds = findings(target)?;
    for path in files(&root().join("seeds").join(target.name)) {
        seeds.push(read(&path)?);
    }
    if target.name == "record" {
        for path in files(&root().join("../schemas/golden")) {
            seeds.push(read(&path)?);
        }
    }
    let answers = fs::read_dir(root().join("../gateway/corpus"))?;
    let mut folders: Vec<PathBuf> = answers.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    for path in folders.iter().flat_map(|folder| files(folder)) {
        seeds.extend(of_answer(target, &path)?);
    }
    Ok(seeds)
}

/// What a target makes of an answer of the corpus.
fn of_answer(target: &Target, path: &Path) -> std::io::Result<Option<Seed>> {
    let name = path.to_string_lossy();
    let is_stream = name.ends_with(".sse");
    let is_document = name.ends_with(".json") && !name.ends_with(".expected.json");
    match target.name {
        "stream" if is_stream => read(path).map(Some),
        "document" if is_document => read(path).map(Some),
        "dialects" if is_document => {
            let (name, mut answer) = read(path)?;
            answer.splice(0..0, first_bytes(path));
            Ok(Some((name, answer)))
        }
        _ => Ok(None),
    }
}

/// The numbers of an answer's dialect and of its API.
fn first_bytes(path: &Path) -> [u8; 2] {
    let folder = path
        .parent()
        .and_then(Path::file_name)
        .unwrap_or_default()
        .to_string_lossy();
    let dialect = folder.parse::<Dialect>().unwrap_or_default();
    let expected = fs::read_to_string(path.with_extension("expected.json")).unwrap_or_default();
    let expected: serde_json::Value = serde_json::from_str(&expected).unwrap_or_default();
    let api: Option<Api> = expected["api"].as_str().and_then(|api| api.parse().ok());
    let api = Api::ALL
        .iter()
        .position(|other| Some(*other) == api)
        .unwrap_or(0);
    [number_of(dialect), u8::try_from(api).unwrap_or(0)]
}
