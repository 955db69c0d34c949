//! Calls of hosted tools that an answer lists, counted one by one.
//!
//! Source: OpenAI API reference, "The response object", `output`: an item of type `web_search_call`,
//! `file_search_call`, `code_interpreter_call` or `image_generation_call` for every call. Of a web search
//! only the action `search` is a search; `open_page` and `find_in_page` read what one found ("Web search",
//! "Output and citations"). A code interpreter is paid by container, not by call ("Pricing", built-in tools); so is a
//! hosted shell, whose call names its container in `environment`. A search can stay `searching` in a whole response:
//! recorded, vercel/ai, `packages/azure/src/__fixtures__/azure-web-search-preview-tool.1.json`. What must not live
//! here: which event told an item (see `scan`).

use std::hash::Hasher;

use smallvec::SmallVec;

/// More containers than this in one answer are not told apart.
const MAX_CONTAINERS: usize = 32;

/// Calls of hosted tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCalls {
    /// Searches of the web.
    pub web_searches: u32,
    /// Searches in files.
    pub file_searches: u32,
    /// Generated images.
    pub images: u32,
    /// Calls of a code interpreter.
    pub code_calls: u32,
    /// Calls of a kind that has no unit.
    pub others: u32,
    containers: SmallVec<[u64; 2]>,
}

impl ToolCalls {
    /// Sessions of a code interpreter: its containers, or its calls where no container is named.
    #[must_use]
    pub fn code_sessions(&self) -> u32 {
        if self.containers.is_empty() {
            return self.code_calls;
        }
        u32::try_from(self.containers.len()).unwrap_or(u32::MAX)
    }

    /// All calls.
    #[must_use]
    pub fn total(&self) -> u32 {
        self.web_searches + self.file_searches + self.images + self.code_calls + self.others
    }

    fn count(&mut self, item: &Item) {
        match item.kind {
            ToolKind::None => {}
            ToolKind::WebSearch if item.reads_a_page => {}
            ToolKind::WebSearch => self.web_searches += 1,
            ToolKind::FileSearch => self.file_searches += 1,
            ToolKind::Image => self.images += 1,
            ToolKind::Other => self.others += 1,
            ToolKind::Shell if item.container.is_none() => {}
            ToolKind::Code | ToolKind::Shell => {
                self.code_calls += 1;
                if let Some(container) = item.container
                    && !self.containers.contains(&container)
                    && self.containers.len() < MAX_CONTAINERS
                {
                    self.containers.push(container);
                }
            }
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ToolKind {
    /// Not a call of a hosted tool.
    #[default]
    None,
    WebSearch,
    FileSearch,
    Code,
    /// Hosted if it has a container.
    Shell,
    Image,
    Other,
}

/// A part of an output item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemPart {
    Kind,
    Status,
    Container,
    Action,
}

/// The output item that is being read.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Nesting of its members.
    pub(super) depth: usize,
    /// It stands in the list of all items of the answer.
    pub(super) is_listed: bool,
    kind: ToolKind,
    unfinished: bool,
    reads_a_page: bool,
    container: Option<u64>,
}

impl Item {
    pub(super) fn new(depth: usize, is_listed: bool) -> Self {
        Self {
            depth,
            is_listed,
            kind: ToolKind::None,
            unfinished: false,
            reads_a_page: false,
            container: None,
        }
    }

    pub(super) fn take(&mut self, part: ItemPart, text: &[u8]) {
        match part {
            ItemPart::Kind => {
                self.kind = match text {
                    b"web_search_call" => ToolKind::WebSearch,
                    b"file_search_call" => ToolKind::FileSearch,
                    b"code_interpreter_call" => ToolKind::Code,
                    b"shell_call" => ToolKind::Shell,
                    b"image_generation_call" => ToolKind::Image,
                    b"x_search_call" => ToolKind::Other,
                    _ => ToolKind::None,
                }
            }
            // A drawn image can stay `generating` to the end, a search `searching`.
            ItemPart::Status => {
                self.unfinished = matches!(text, b"in_progress" | b"failed" | b"incomplete");
            }
            ItemPart::Action => self.reads_a_page = matches!(text, b"open_page" | b"find_in_page"),
            ItemPart::Container => {
                let mut hasher = rustc_hash::FxHasher::default();
                hasher.write(text);
                self.container = Some(hasher.finish());
            }
        }
    }

    pub(super) fn count_into(&self, calls: &mut ToolCalls) {
        if !self.unfinished {
            calls.count(self);
        }
    }
}
