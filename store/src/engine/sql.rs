//! What a request is: one statement, and where an INSERT's data begin. It parses no expressions and decides no access: the
//! engine's own read-only mode stands behind it.

use super::lexer::{Kind, Lexer, Token};
use super::refusal::Refusal;

/// What one request asks, as far as the listener must know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Statement<'a> {
    /// `INSERT INTO … [SETTINGS …] FORMAT …` or `… VALUES`, whose data go into a file of their own.
    InsertData(InsertHead<'a>),
    /// Anything else, run as it stands.
    Other,
}

/// The parts of an INSERT between which `FROM INFILE` is put.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct InsertHead<'a> {
    /// `INSERT INTO table (columns)`
    pub(super) target: &'a str,
    /// `SETTINGS …`, or empty
    pub(super) settings: &'a str,
    pub(super) format: &'a str,
    /// Where in the given bytes the data begin.
    pub(super) data_at: usize,
}

/// Reads one request's text. Refuses two statements in one, files named by the client, and results put into files.
pub(super) fn classify(sql: &[u8]) -> Result<Statement<'_>, Refusal> {
    let mut lexer = Lexer::new(sql);
    match lexer.next()? {
        None => Err(Refusal::syntax("the query is empty")),
        Some(first) if first.is_word("insert") => classify_insert(sql, lexer, first.start),
        Some(_) => {
            expect_one_statement(&mut lexer)?;
            Ok(Statement::Other)
        }
    }
}

fn classify_insert<'a>(
    sql: &'a [u8],
    mut lexer: Lexer<'a>,
    start: usize,
) -> Result<Statement<'a>, Refusal> {
    let mut depth = 0_usize;
    let mut settings_at = None;
    let mut before: Option<Token<'_>> = None;
    while let Some(token) = lexer.next()? {
        let opens_clause = depth == 0
            && before.is_some_and(|before| {
                !before.is_word("into") && !before.is_word("table") && !before.is_symbol(b'.')
            });
        match token.kind {
            Kind::Symbol(b'(') => depth += 1,
            Kind::Symbol(b')') => depth = depth.saturating_sub(1),
            Kind::Symbol(b';') => return end_of_statement(&mut lexer).map(|()| Statement::Other),
            Kind::Word
                if token.is_word("function")
                    && before.is_some_and(|before| {
                        before.is_word("into") || before.is_word("table")
                    }) =>
            {
                return Err(Refusal::not_offered("INSERT INTO FUNCTION"));
            }
            Kind::Word if opens_clause && token.is_word("infile") => {
                return Err(Refusal::not_offered("FROM INFILE"));
            }
            Kind::Word if opens_clause && (token.is_word("select") || token.is_word("with")) => {
                expect_one_statement(&mut lexer)?;
                return Ok(Statement::Other);
            }
            Kind::Word if opens_clause && token.is_word("settings") => {
                settings_at = Some(token.start);
            }
            Kind::Word if opens_clause && token.is_word("values") => {
                return insert_head(sql, start, settings_at, token.start, "Values", token.end);
            }
            Kind::Word if opens_clause && token.is_word("format") => {
                let format = lexer.next()?.filter(|token| token.kind == Kind::Word);
                let format = format.ok_or_else(|| Refusal::syntax("FORMAT needs a name"))?;
                return insert_head(
                    sql,
                    start,
                    settings_at,
                    token.start,
                    format.text,
                    after_head(sql, format.end),
                );
            }
            _ => {}
        }
        before = Some(token);
    }
    Ok(Statement::Other)
}

fn insert_head<'a>(
    sql: &'a [u8],
    start: usize,
    settings_at: Option<usize>,
    head_end: usize,
    format: &'a str,
    data_at: usize,
) -> Result<Statement<'a>, Refusal> {
    let text = |from: usize, to: usize| {
        std::str::from_utf8(&sql[from..to])
            .map(str::trim)
            .map_err(|_| Refusal::syntax("the query is not UTF-8"))
    };
    let target_end = settings_at.unwrap_or(head_end);
    Ok(Statement::InsertData(InsertHead {
        target: text(start, target_end)?,
        settings: text(target_end, head_end)?,
        format,
        data_at,
    }))
}

/// Data begin after the format's name, blanks and one end of line, as in ClickHouse.
fn after_head(sql: &[u8], mut at: usize) -> usize {
    while matches!(sql.get(at), Some(b' ' | b'\t' | 0x0c)) {
        at += 1;
    }
    if sql.get(at) == Some(&b'\r') {
        at += 1;
    }
    if sql.get(at) == Some(&b'\n') {
        at += 1;
    }
    at
}

fn expect_one_statement(lexer: &mut Lexer<'_>) -> Result<(), Refusal> {
    let mut before: Option<Token<'_>> = None;
    while let Some(token) = lexer.next()? {
        if token.is_symbol(b';') {
            return end_of_statement(lexer);
        }
        if token.is_word("outfile") && before.is_some_and(|before| before.is_word("into")) {
            return Err(Refusal::not_offered("INTO OUTFILE"));
        }
        before = Some(token);
    }
    Ok(())
}

fn end_of_statement(lexer: &mut Lexer<'_>) -> Result<(), Refusal> {
    while let Some(token) = lexer.next()? {
        if !token.is_symbol(b';') {
            return Err(Refusal::syntax("one request is one statement"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(sql: &str) -> (String, String, String, String) {
        match classify(sql.as_bytes()).unwrap() {
            Statement::InsertData(head) => (
                head.target.into(),
                head.settings.into(),
                head.format.into(),
                sql[head.data_at..].into(),
            ),
            Statement::Other => panic!("no data found in {sql}"),
        }
    }

    fn parts(
        target: &str,
        settings: &str,
        format: &str,
        data: &str,
    ) -> (String, String, String, String) {
        (target.into(), settings.into(), format.into(), data.into())
    }

    #[test]
    fn an_inserts_head_ends_where_its_data_begin() {
        assert_eq!(
            head("INSERT INTO t(a,`b;`) FORMAT RowBinary"),
            parts("INSERT INTO t(a,`b;`)", "", "RowBinary", "")
        );
        assert_eq!(
            head("insert into d.t (a) settings x='FORMAT', y=1 format TSV\n1;\n\n'"),
            parts(
                "insert into d.t (a)",
                "settings x='FORMAT', y=1",
                "TSV",
                "1;\n\n'"
            )
        );
        assert_eq!(
            head("INSERT INTO t VALUES (1,'a;b'),(2)"),
            parts("INSERT INTO t", "", "Values", " (1,'a;b'),(2)")
        );
        assert_eq!(
            head("INSERT INTO format FORMAT CSV 1"),
            parts("INSERT INTO format", "", "CSV", "1")
        );
        assert_eq!(
            head("INSERT INTO d.values (format) VALUES(1)"),
            parts("INSERT INTO d.values (format)", "", "Values", "(1)")
        );
    }

    #[test]
    fn two_statements_are_refused_however_they_are_hidden() {
        for sql in [
            "SELECT 1; SELECT 2",
            "SELECT 1 -- ;\n; DROP TABLE t",
            "SELECT '\\\\'; DROP TABLE t -- '",
            "SELECT ''''; DROP TABLE t",
            "SELECT `\\``; DROP TABLE t",
            "SELECT 1 /* ; */; DROP TABLE t",
            "INSERT INTO t SELECT 1; DROP TABLE t",
            "INSERT INTO t; DROP TABLE t",
        ] {
            assert!(classify(sql.as_bytes()).is_err(), "{sql}");
        }
        for sql in [
            "SELECT 1;",
            "SELECT ';'",
            "SELECT 1 -- ; x",
            "SELECT 1 /* ; */ ; ;",
            "SELECT `;`, \";\"",
        ] {
            assert_eq!(classify(sql.as_bytes()).unwrap(), Statement::Other, "{sql}");
        }
    }

    #[test]
    fn files_and_doubtful_texts_are_refused() {
        for sql in [
            "",
            " -- nothing",
            "SELECT 1 INTO/**/OUTFILE 'x'",
            "INSERT INTO t FROM INFILE 'x' FORMAT TSV",
            "INSERT INTO FUNCTION file('x') VALUES (1)",
            "INSERT INTO TABLE FUNCTION file('x') VALUES (1)",
            "SELECT $a$;$a$",
            "SELECT 1 # x",
            "SELECT \u{2018}x\u{2019}",
            "SELECT 'x",
            "SELECT 1 /* x",
            "SELECT\0 1",
        ] {
            assert!(classify(sql.as_bytes()).is_err(), "{sql}");
        }
    }
}
