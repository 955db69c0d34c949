//! Calls of hosted tools that an answer lists, counted one by one.
//!
//! Source: OpenAI API reference, "The response object", `output`: an item of type `web_search_call`,
//! `file_search_call`, `code_interpreter_call` or `image_generation_call` for every call. Of a web search
//! only the action `search` is a search; `open_page` and `find_in_page` read what one found ("Web search",
//! "Output and citations"); it was `find` before (openai/openai-python,
//! `src/openai/types/responses/response_function_web_search_param.py`). A code interpreter is paid by container, not by call ("Pricing", built-in tools); so is a
//! hosted shell, whose call names its container in `environment`. A search can stay `searching` in a whole response:
//! recorded, vercel/ai, `packages/azure/src/__fixtures__/azure-web-search-preview-tool.1.json`.
//!
//! Groq lists in a chat the tools that it ran, as `executed_tools` of the message (groq/groq-typescript,
//! `src/resources/chat/completions.ts`). A stream tells each twice, as it begins and with what it found, under one
//! `index`: recorded, pydantic/pydantic-ai,
//! `tests/models/cassettes/test_groq/test_groq_model_web_search_tool_stream.yaml` (`search`) and
//! `test_groq_web_search_tool_domain_filters.yaml` (`visit`). The browser of gpt-oss names its action beside the type
//! (Stackbilt-dev/llm-providers, `src/__tests__/fixtures/response-shapes/groq-builtin-gpt-oss.json`). Of the others a
//! sandbox is paid by its time, which no answer tells. What must not live here: which event told an item (see `scan`).

use std::hash::Hasher;

use smallvec::SmallVec;

/// More containers than this in one answer are not told apart.
const MAX_CONTAINERS: usize = 32;

/// Calls of hosted tools.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCalls {
    /// Searches of the web.
    pub web_searches: u32,
    /// Pages that were fetched by themselves.
    pub page_visits: u32,
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
        self.web_searches
            + self.page_visits
            + self.file_searches
            + self.images
            + self.code_calls
            + self.others
    }

    fn count(&mut self, item: &Item) {
        match item.kind {
            ToolKind::None => {}
            ToolKind::WebSearch if item.reads_a_page => {}
            ToolKind::WebSearch => self.web_searches += 1,
            ToolKind::PageVisit => self.page_visits += 1,
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
    PageVisit,
    FileSearch,
    Code,
    /// Hosted if it has a container.
    Shell,
    Image,
    Other,
}

/// Tools that were executed, each counted once. Bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Executed {
    pub(super) calls: ToolCalls,
    seen: u128,
}

/// As many are told apart; more are no calls that could be counted. Groq runs ten at most.
const MAX_EXECUTED: usize = 128;

impl Executed {
    fn note(&mut self, item: &Item) {
        match item.index {
            Some(index @ 0..MAX_EXECUTED) if (self.seen >> index) & 1 == 1 => return,
            Some(index @ 0..MAX_EXECUTED) => self.seen |= 1 << index,
            Some(_) => {
                self.calls.others = 1.max(self.calls.others);
                return;
            }
            None => {}
        }
        self.calls.count(item);
    }
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In an event of its own.
    Told,
    /// In the list of all items of the answer.
    Listed,
    /// Among the tools that a chat's message says were executed.
    Executed,
}

/// A part of an output item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemPart {
    Kind,
    Status,
    Container,
    Action,
    Name,
    Index,
}

/// The item that is being read.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Nesting of its members.
    pub(super) depth: usize,
    pub(super) place: Place,
    kind: ToolKind,
    /// It says by its name what it does; its type says less.
    is_named: bool,
    index: Option<usize>,
    unfinished: bool,
    reads_a_page: bool,
    container: Option<u64>,
}

impl Item {
    pub(super) fn new(depth: usize, place: Place) -> Self {
        let kind = match place {
            Place::Told | Place::Listed => ToolKind::None,
            // Whatever it was, it ran.
            Place::Executed => ToolKind::Other,
        };
        Self {
            depth,
            place,
            kind,
            is_named: false,
            index: None,
            unfinished: false,
            reads_a_page: false,
            container: None,
        }
    }

    pub(super) fn take(&mut self, part: ItemPart, text: &[u8]) {
        match part {
            ItemPart::Kind if self.place != Place::Executed => self.kind = item_kind(text),
            ItemPart::Kind if self.is_named => {}
            ItemPart::Kind => self.kind = executed_kind(text),
            ItemPart::Name if text.is_empty() => {}
            ItemPart::Name => {
                self.is_named = true;
                self.kind = executed_kind(text);
            }
            ItemPart::Index => {
                let index = std::str::from_utf8(text).ok();
                self.index = index.and_then(|text| text.trim().parse().ok());
            }
            // A drawn image can stay `generating` to the end, a search `searching`.
            ItemPart::Status => {
                self.unfinished = matches!(text, b"in_progress" | b"failed" | b"incomplete");
            }
            ItemPart::Action => {
                self.reads_a_page = matches!(text, b"open_page" | b"find_in_page" | b"find");
            }
            ItemPart::Container => {
                let mut hasher = rustc_hash::FxHasher::default();
                hasher.write(text);
                self.container = Some(hasher.finish());
            }
        }
    }

    pub(super) fn note_in(&self, executed: &mut Executed) {
        executed.note(self);
    }

    pub(super) fn count_into(&self, calls: &mut ToolCalls) {
        if !self.unfinished {
            calls.count(self);
        }
    }
}

/// The kind of an output item of this type.
fn item_kind(kind: &[u8]) -> ToolKind {
    match kind {
        b"web_search_call" => ToolKind::WebSearch,
        b"file_search_call" => ToolKind::FileSearch,
        b"code_interpreter_call" => ToolKind::Code,
        b"shell_call" => ToolKind::Shell,
        b"image_generation_call" => ToolKind::Image,
        b"x_search_call" => ToolKind::Other,
        _ => ToolKind::None,
    }
}

/// The kind of an executed tool of this type or name.
fn executed_kind(kind: &[u8]) -> ToolKind {
    match kind {
        b"search" | b"web_search" | b"browser_search" | b"browser.search" => ToolKind::WebSearch,
        b"visit" | b"visit_website" | b"browser.open" => ToolKind::PageVisit,
        _ => ToolKind::Other,
    }
}
