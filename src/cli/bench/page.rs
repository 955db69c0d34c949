//! Generated parts of a page, each between two marks. What they say must not live here.

use std::path::Path;

use anyhow::{Context, bail};

/// Puts a text between the marks of a page.
pub fn put(path: &Path, begin: &str, end: &str, text: &str) -> anyhow::Result<()> {
    let page = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let Some(page) = replaced(&page, begin, end, text) else {
        bail!(
            "{} has no place for the table: write `{begin}` and `{end}` into it",
            path.display()
        );
    };
    std::fs::write(path, page).with_context(|| path.display().to_string())
}

fn replaced(page: &str, begin: &str, end: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let page = "a\n<b>\nold\n</b>\nz\n";
        let written = replaced(page, "<b>", "</b>", "new").unwrap();
        assert_eq!(written, "a\n<b>\nnew\n</b>\nz\n");
        assert_eq!(replaced(&written, "<b>", "</b>", "new").unwrap(), written);
        assert_eq!(replaced("no marks", "<b>", "</b>", "new"), None);
    }
}
