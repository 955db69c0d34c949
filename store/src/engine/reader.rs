//! What the reader may say and how much it may take: first words, forbidden functions, bounds. The engine's `readonly=1`
//! refuses changes; this closes what that leaves open (`DESCRIBE url(…)` connects, the scalar `file()` reads any path,
//! `KILL` and `USE` pass) and holds also where the kernel has no Landlock.

use super::lexer::{Kind, Lexer};
use super::refusal::Refusal;

/// The first word of a reader's statement is one of these.
const FIRST_WORDS: [&str; 7] = [
    "select", "with", "show", "describe", "desc", "exists", "explain",
];

/// Functions that reach files, programs or other hosts, in lower case.
const FORBIDDEN: [&str; 29] = [
    "arrowstream",
    "catboostevaluate",
    "cluster",
    "clusterallreplicas",
    "cosn",
    "dictionary",
    "executable",
    "fuzzjson",
    "fuzzquery",
    "gcs",
    "input",
    "jdbc",
    "loop",
    "mongodb",
    "mysql",
    "odbc",
    "oss",
    "postgresql",
    "prometheusquery",
    "prometheusqueryrange",
    "python",
    "redis",
    "remote",
    "remotesecure",
    "sqlite",
    "url",
    "urlcluster",
    "urlwithheaders",
    "ytsaurus",
];
/// Families of such functions, by their first letters.
const FORBIDDEN_FAMILIES: [&str; 8] = [
    "azureblobstorage",
    "deltalake",
    "file",
    "hdfs",
    "hudi",
    "iceberg",
    "paimon",
    "s3",
];

/// The most that a result of the reader's may hold, in bytes.
pub(super) const MAX_RESULT_BYTES: u64 = 256 << 20;

/// The reader's bounds; a client may ask for less, never for more.
pub(super) const LIMITS: [(&str, u64); 5] = [
    ("max_execution_time", 60),
    ("max_result_bytes", MAX_RESULT_BYTES),
    ("max_result_rows", 5_000_000),
    ("max_memory_usage", 1 << 30),
    ("max_ast_depth", 1_000),
];

/// Checks a statement of the reader, already known to be a single one.
pub(super) fn check(sql: &[u8]) -> Result<(), Refusal> {
    let mut lexer = Lexer::new(sql);
    let first = lexer.next()?;
    if !first.is_some_and(|token| FIRST_WORDS.iter().any(|word| token.is_word(word))) {
        return Err(Refusal::read_only(
            "this user may only SELECT, SHOW, DESCRIBE, EXISTS and EXPLAIN",
        ));
    }
    let mut before = first;
    while let Some(token) = lexer.next()? {
        if let Some(name) = before.filter(|_| token.is_symbol(b'(')) {
            let unquoted = match name.kind {
                Kind::Word => Some(name.text.to_ascii_lowercase()),
                Kind::QuotedName => Some(name.text[1..name.text.len() - 1].to_ascii_lowercase()),
                Kind::Text | Kind::Symbol(_) => None,
            };
            if let Some(unquoted) = unquoted {
                check_function(&unquoted)?;
            }
        }
        before = Some(token);
    }
    Ok(())
}

fn check_function(name: &str) -> Result<(), Refusal> {
    // A quoted name may spell itself with escapes; none that we know needs one.
    let forbidden = name.contains('\\')
        || FORBIDDEN.contains(&name)
        || FORBIDDEN_FAMILIES
            .iter()
            .any(|family| name.starts_with(family));
    if forbidden {
        return Err(Refusal::read_only(
            "this user may not use functions that reach files, programs or other hosts",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_is_allowed() {
        for sql in [
            "SELECT count() FROM t WHERE a IN (1, 2)",
            "with x as (select 1) select * from x",
            "/* c */ SHOW TABLES",
            "DESCRIBE TABLE t",
            "SELECT file, url FROM t",
            "SELECT 'file(', formatReadableSize(1), URLHash('x')",
        ] {
            check(sql.as_bytes()).unwrap_or_else(|refusal| panic!("{sql}: {refusal:?}"));
        }
    }

    #[test]
    fn what_changes_or_reaches_out_is_not() {
        for sql in [
            "INSERT INTO t VALUES (1)",
            "KILL QUERY WHERE 1",
            "SET readonly = 0",
            "USE other",
            "DROP TABLE t",
            "SYSTEM FLUSH LOGS",
            "(SELECT 1)",
            "SELECT FILE('/etc/passwd')",
            "SELECT `file` ('/etc/passwd')",
            "SELECT \"fi\\le\"('/etc/passwd')",
            "SELECT file/**/('/etc/passwd')",
            "DESCRIBE TABLE url('http://127.0.0.1')",
            "DESC s3Cluster('x')",
            "SELECT * FROM remoteSecure('x', y)",
            "EXPLAIN SELECT * FROM executable('x')",
        ] {
            assert!(check(sql.as_bytes()).is_err(), "{sql}");
        }
    }
}
