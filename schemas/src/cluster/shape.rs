//! The shape of a migration: which table it makes or alters, and the parts of the statement. It reads the statements of this
//! project, which are written in lines, and refuses every other; it is no parser of SQL.

use super::ClusterError;

/// A statement in parts.
#[derive(Debug)]
pub(super) struct Statement<'a> {
    /// Its first lines, with their ends.
    pub comment: &'a str,
    pub kind: Kind<'a>,
}

/// What it does.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    Create(Table<'a>),
    /// Adds, changes or drops columns.
    AlterColumns {
        table: &'a str,
        clauses: &'a str,
    },
    /// Changes how rows are kept: settings, indexes, a lifetime.
    AlterKeeping {
        table: &'a str,
        clauses: &'a str,
    },
}

/// A table to be made.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub name: &'a str,
    /// With the brackets around them.
    pub columns: &'a str,
    /// Its name, and what stands in its brackets.
    pub engine: (&'a str, &'a str),
    /// What follows the engine.
    pub tail: &'a str,
    /// What rows are sorted by, without brackets.
    pub sort_key: &'a str,
}

impl Table<'_> {
    /// Whether its rows are of a partition of the log.
    pub(super) fn is_of_the_log(&self) -> bool {
        let has = |column: &str| {
            let mut lines = self.columns.lines().map(str::trim_start);
            lines.any(|line| line.split(' ').next() == Some(column))
        };
        has("topic") && has("partition")
    }
}

impl<'a> Statement<'a> {
    pub(super) fn read(sql: &'a str) -> Result<Self, ClusterError> {
        let of_comment = sql.lines().take_while(|line| line.starts_with("--"));
        let length: usize = of_comment.map(|line| line.len() + 1).sum();
        let (comment, statement) = sql.split_at_checked(length).unwrap_or((sql, ""));
        let statement = statement.trim_end();
        let kind = if let Some(rest) = statement.strip_prefix("CREATE TABLE IF NOT EXISTS ") {
            create(rest).map(Kind::Create)
        } else if let Some(rest) = statement.strip_prefix("ALTER TABLE ") {
            alter(rest)
        } else {
            Err("it is none of CREATE TABLE IF NOT EXISTS and ALTER TABLE")
        };
        let refused = |why| ClusterError::Shape {
            begin: statement.chars().take(60).collect(),
            why,
        };
        Ok(Self {
            comment,
            kind: kind.map_err(refused)?,
        })
    }
}

fn create(rest: &str) -> Result<Table<'_>, &'static str> {
    const NO_ENGINE: &str = "no line begins with `ENGINE = `";
    let (name, rest) = rest
        .split_once('\n')
        .ok_or("its name has no line of its own")?;
    let (columns, rest) = rest.split_once("\nENGINE = ").ok_or(NO_ENGINE)?;
    let (engine, tail) = rest.split_once('\n').ok_or("nothing follows the engine")?;
    let (family, arguments) = engine.split_once('(').unwrap_or((engine, ")"));
    if !family.ends_with("MergeTree") || family.starts_with("Replicated") {
        return Err("its engine is not of the MergeTree family");
    }
    let arguments = arguments
        .strip_suffix(')')
        .ok_or("its engine's bracket stays open")?;
    let sorted = tail.lines().find_map(|line| line.strip_prefix("ORDER BY "));
    let sort_key = sorted.ok_or("no line begins with `ORDER BY `")?;
    let inside = sort_key
        .strip_prefix('(')
        .and_then(|key| key.strip_suffix(')'));
    Ok(Table {
        name,
        columns,
        engine: (family, arguments),
        tail,
        sort_key: inside.unwrap_or(sort_key),
    })
}

/// Whether a clause says of a column how it is packed, and nothing else: `MODIFY COLUMN IF EXISTS name CODEC(…)`.
fn is_packing(clause: &str) -> bool {
    let mut words = clause.split_whitespace();
    clause.starts_with("MODIFY COLUMN IF EXISTS ")
        && words.nth(5).is_some_and(|word| word.starts_with("CODEC("))
}

fn alter(rest: &str) -> Result<Kind<'_>, &'static str> {
    let (table, clauses) = rest
        .split_once('\n')
        .ok_or("the table's name has no line of its own")?;
    let verbs = [
        "ADD ",
        "MODIFY ",
        "DROP ",
        "MATERIALIZE ",
        "RENAME ",
        "COMMENT ",
    ];
    let begins = |line: &&str| verbs.iter().any(|verb| line.starts_with(verb));
    let found: Vec<&str> = clauses
        .lines()
        .map(str::trim_start)
        .filter(begins)
        .collect();
    let of_columns = found
        .iter()
        .filter(|line| line.split(' ').nth(1) == Some("COLUMN") && !is_packing(line));
    match of_columns.count() {
        _ if found.is_empty() => Err("no line begins with what is altered"),
        0 => Ok(Kind::AlterKeeping { table, clauses }),
        all if all == found.len() => Ok(Kind::AlterColumns { table, clauses }),
        _ => Err("it alters columns and something else at once"),
    }
}
