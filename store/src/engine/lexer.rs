//! Just enough of ClickHouse's lexer: words, quotes, comments, symbols. Where its reading and ours could differ, it refuses.

use super::refusal::Refusal;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    QuotedName,
    Text,
    Symbol(u8),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token<'_> {
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn is_symbol(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol(symbol)
    }
}

/// Reads tokens one by one, so that data behind an INSERT's head are never looked at.
pub(super) struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a [u8]) -> Self {
        Self { sql, at: 0 }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    /// Skips blanks and comments.
    fn skip_silence(&mut self) -> Result<(), Refusal> {
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some(b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c), _) => self.at += 1,
                (Some(b'-'), Some(b'-')) => {
                    self.at = memchr_from(self.sql, self.at, b'\n').unwrap_or(self.sql.len());
                }
                (Some(b'/'), Some(b'*')) => {
                    let inside = self.at + 2;
                    let length = self.sql[inside..].windows(2).position(|pair| pair == b"*/");
                    self.at = inside
                        + length.ok_or_else(|| Refusal::syntax("a comment does not end"))?
                        + 2;
                }
                _ => return Ok(()),
            }
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, Refusal> {
        self.skip_silence()?;
        let start = self.at;
        let Some(first) = self.peek(0) else {
            return Ok(None);
        };
        let kind = match first {
            b'\'' => self.quoted(first, Kind::Text)?,
            b'"' | b'`' => self.quoted(first, Kind::QuotedName)?,
            byte if is_word_byte(byte) => {
                while self.peek(0).is_some_and(is_word_byte) {
                    self.at += 1;
                }
                Kind::Word
            }
            // Heredocs, `#` comments, curly quotes, NUL: places where two lexers could read two statements in one text.
            b'$' | b'#' | 0 | 0x80.. => {
                return Err(Refusal::syntax(
                    "only plain ASCII without `$`, `#` and NUL is taken outside of quotes",
                ));
            }
            byte => {
                self.at += 1;
                Kind::Symbol(byte)
            }
        };
        let text = std::str::from_utf8(&self.sql[start..self.at])
            .map_err(|_| Refusal::syntax("the query is not UTF-8"))?;
        Ok(Some(Token {
            kind,
            text,
            start,
            end: self.at,
        }))
    }

    /// A quoted piece: a backslash escapes the next byte, a doubled quote stands for itself.
    fn quoted(&mut self, quote: u8, kind: Kind) -> Result<Kind, Refusal> {
        self.at += 1;
        loop {
            match self.peek(0) {
                None => return Err(Refusal::syntax("a quote does not end")),
                Some(b'\\') => self.at += 2,
                Some(byte) if byte == quote && self.peek(1) == Some(quote) => self.at += 2,
                Some(byte) if byte == quote => {
                    self.at += 1;
                    return Ok(kind);
                }
                Some(_) => self.at += 1,
            }
        }
    }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn memchr_from(haystack: &[u8], from: usize, needle: u8) -> Option<usize> {
    haystack[from..]
        .iter()
        .position(|byte| *byte == needle)
        .map(|offset| from + offset)
}
