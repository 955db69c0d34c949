//! The one table of endpoints: paths, parameters, who may call, what comes back. The router, the reading of parameters
//! and `/openapi.json` are all made from it, so none of them can say anything else.

use crate::api::settings::May;

/// An endpoint.
#[derive(Debug)]
pub struct Endpoint {
    /// Its path.
    pub path: &'static str,
    /// A name for programs that generate clients.
    pub id: &'static str,
    /// What it is, in a line.
    pub summary: &'static str,
    /// What a reader must be allowed; `None` needs a reader, whatever it may.
    pub access: Access,
    /// What can be asked.
    pub params: &'static [Param],
    /// The media types of its answer; the first one unless asked otherwise.
    pub media: &'static [&'static str],
    /// The members of a JSON answer that is an object.
    pub members: &'static [Member],
    /// Headers of its answer beyond the usual ones, each with its meaning.
    pub headers: &'static [(&'static str, &'static str)],
    pub(super) serves: Serves,
}

/// Who may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody; there is nothing in it.
    Anybody,
    /// Every reader.
    AnyReader,
    /// Readers that may.
    Reader(May),
}

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    Chargeback,
    Coverage,
    Audit,
    Completeness,
    Exports,
    Prices,
    Reader,
    OpenApi,
    Console,
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// What can stand there.
    pub kind: Kind,
    /// What holds where it is absent.
    pub default: Option<&'static str>,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it may stand more than once.
    pub repeats: bool,
    /// One that works.
    pub example: &'static str,
}

/// What can stand in a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text, whose form its reader checks.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number.
    Whole {
        /// At least.
        min: usize,
        /// At most.
        max: usize,
    },
}

/// A member of a JSON object.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// Its JSON types.
    pub types: &'static [&'static str],
    /// What it means.
    pub about: &'static str,
}

/// The most events of a page of the trail over HTTP.
pub(super) const MAX_PAGE: usize = 1_000;

pub(super) const JSON: &str = "application/json";
pub(super) const CSV: &str = "text/csv; charset=utf-8";
pub(super) const NDJSON: &str = "application/x-ndjson";
pub(super) const PARQUET: &str = "application/vnd.apache.parquet";
pub(super) const HTML: &str = "text/html; charset=utf-8";

const fn param(name: &'static str, about: &'static str, example: &'static str) -> Param {
    Param {
        name,
        about,
        kind: Kind::Text,
        default: None,
        required: false,
        repeats: false,
        example,
    }
}

const fn or(param: Param, default: &'static str) -> Param {
    Param {
        default: Some(default),
        ..param
    }
}

const fn one_of(
    name: &'static str,
    about: &'static str,
    words: &'static [&'static str],
    default: &'static str,
) -> Param {
    Param {
        kind: Kind::OneOf(words),
        default: Some(default),
        ..param(name, about, words[0])
    }
}

const fn member(name: &'static str, types: &'static [&'static str], about: &'static str) -> Member {
    Member { name, types, about }
}

const PERIOD: Param = param(
    "period",
    "Month, year or day of the zone, or `start/end`; the current month of the zone if absent",
    "2026-11",
);
const TZ: Param = or(
    param("tz", "IANA time zone of the period", "Europe/Berlin"),
    "UTC",
);
const BY: Param = or(
    param(
        "by",
        "Columns, separated by commas: tenant, project, key, model, provider, deployment, route, api, day, outcome, label:NAME",
        "tenant,model",
    ),
    "tenant,project,model",
);
const TENANT: Param = param(
    "tenant",
    "Only this tenant; a reader of one tenant may leave it out, a reader of several must name one",
    "acme",
);
const SYNTHETIC: Param = one_of(
    "synthetic",
    "Demo and self-test traffic, which is on no bill",
    &["exclude", "only", "include"],
    "exclude",
);
const FORMAT: Param = one_of("format", "The form of the answer", &["json", "csv"], "json");

const OBJECT: &[&str] = &["object"];
const ARRAY: &[&str] = &["array"];
const TEXT: &[&str] = &["string"];
const WHOLE: &[&str] = &["integer"];
const MAYBE_TEXT: &[&str] = &["string", "null"];

const REPORT_HASH: Member = member(
    "report_hash",
    TEXT,
    "SHA-256 over period, columns, filters, rows and totals; also the ETag",
);
const ETAG: (&str, &str) = (
    "etag",
    "The report's hash, weak: figures are alike, the state of the log beside them may differ",
);

/// All of them.
pub static ENDPOINTS: &[Endpoint] = &[
    CHARGEBACK,
    COVERAGE,
    AUDIT,
    COMPLETENESS,
    EXPORTS,
    PRICES,
    READER,
    OPENAPI,
    CONSOLE,
];

const CHARGEBACK: Endpoint = Endpoint {
    path: "/v1/chargeback",
    id: "chargeback",
    summary: "Who used what in a period, and what it costs: `tollgate report chargeback`",
    access: Access::Reader(May::Reports),
    params: &[PERIOD, BY, TZ, TENANT, SYNTHETIC, FORMAT],
    media: &[JSON, CSV],
    members: &[
        member("format_version", WHOLE, "The shape of this"),
        member(
            "period",
            OBJECT,
            "As written and as instants, `start_us` to before `end_us`",
        ),
        member("by", ARRAY, "The names of the columns"),
        member("synthetic", TEXT, "How synthetic traffic was treated"),
        member("tenant", MAYBE_TEXT, "The one tenant, if there is one"),
        member("rows", ARRAY, "One for every combination of the columns"),
        member("totals", OBJECT, "The sum of the rows"),
        member(
            "synthetic_requests_left_out",
            WHOLE,
            "Synthetic requests that were left out",
        ),
        member(
            "unreadable_records",
            WHOLE,
            "Records of the log that could not be read and name no tenant",
        ),
        member(
            "position",
            ARRAY,
            "The log, up to which every record is in it; empty for readers of some tenants, for it counts everybody's",
        ),
        member("price_version", TEXT, "The price book"),
        REPORT_HASH,
    ],
    headers: &[ETAG],
    serves: Serves::Chargeback,
};

const COVERAGE: Endpoint = Endpoint {
    path: "/v1/coverage",
    id: "coverage",
    summary: "How well the traffic of a period was measured: each request in one class, which add up to all",
    access: Access::Reader(May::Reports),
    params: &[PERIOD, or(BY, "tenant"), TZ, TENANT, SYNTHETIC],
    media: &[JSON],
    members: &[
        member("period", OBJECT, "As written and as instants"),
        member("by", ARRAY, "The names of the columns"),
        member("synthetic", TEXT, "How synthetic traffic was treated"),
        member("tenant", MAYBE_TEXT, "The one tenant, if there is one"),
        member("rows", ARRAY, "Columns, requests and their classes"),
        member("totals", OBJECT, "The sum of the rows"),
        member(
            "unreadable_records",
            WHOLE,
            "Records of the log that could not be read and name no tenant",
        ),
        REPORT_HASH,
    ],
    headers: &[ETAG],
    serves: Serves::Coverage,
};

const AUDIT: Endpoint = Endpoint {
    path: "/v1/audit",
    id: "audit",
    summary: "Every request, accepted or refused, with its place in the log, page by page: `tollgate audit query`",
    access: Access::Reader(May::Audit),
    params: &[
        TENANT,
        param("project", "Only this project", "search"),
        param("key", "Only this key", "acme-search-1"),
        param(
            "since",
            "Received since: an instant, a UTC day, or an age such as 30m, 2h, 7d",
            "7d",
        ),
        param("until", "Received before: likewise", "2026-11-25T12:00:00Z"),
        param("outcome", "Only this outcome", "completed"),
        param("request_id", "Only the request with this id", "req_0193c8"),
        Param {
            repeats: true,
            ..param(
                "label",
                "Only requests with this label, as name=value; may stand more than once",
                "team=search",
            )
        },
        Param {
            kind: Kind::Whole {
                min: 1,
                max: MAX_PAGE,
            },
            ..or(param("limit", "How many at most", "50"), "100")
        },
        param(
            "cursor",
            "Go on after a page: its `next`",
            "1795521600000000:019aa1b2-c3d4-7e5f-8a6b-7c8d9e0f1a2b",
        ),
        FORMAT,
    ],
    media: &[JSON, CSV],
    members: &[
        member("events", ARRAY, "In the order of receipt"),
        member(
            "next",
            MAYBE_TEXT,
            "The `cursor` of the next page; null where this is the last",
        ),
    ],
    headers: &[(
        "link",
        "The next page, `rel=\"next\"`; none where this is the last",
    )],
    serves: Serves::Audit,
};

const COMPLETENESS: Endpoint = Endpoint {
    path: "/v1/completeness",
    id: "completeness",
    summary: "Whether a period is whole, and as it was written: `tollgate audit completeness`",
    access: Access::Reader(May::Audit),
    params: &[
        PERIOD,
        TZ,
        param("producer", "Only this gateway", "gateway-1"),
        param(
            "as_of",
            "Judge as of this instant instead of now",
            "2026-11-25T12:00:00Z",
        ),
        FORMAT,
    ],
    media: &[JSON, CSV],
    members: &[
        member("period", OBJECT, "As written and as instants"),
        member(
            "producer",
            MAYBE_TEXT,
            "The one gateway, if it was asked for one",
        ),
        member(
            "as_of_us",
            WHOLE,
            "What is claimed within the minute before this need not be there yet",
        ),
        member(
            "is_final",
            &["boolean"],
            "Every gateway has claimed past the end",
        ),
        member("held_up_by", ARRAY, "Who has not"),
        member(
            "verdicts",
            OBJECT,
            "`completeness`: nothing is missing; `integrity`: nothing was changed",
        ),
        member("events", WHOLE, "Usage events of the period"),
        member("boots", ARRAY, "By start of a gateway"),
        member("partitions", ARRAY, "By partition of the log"),
        member("dead_letters", ARRAY, "Records that could not be read"),
        member("findings", ARRAY, "What is wrong, the first of it"),
        member("findings_left_out", WHOLE, "Findings that are not listed"),
    ],
    headers: &[],
    serves: Serves::Completeness,
};

const EXPORTS: Endpoint = Endpoint {
    path: "/v1/exports",
    id: "exports",
    summary: "The month, or every request of it, as a file that is proved to add up to the report: `tollgate export`",
    access: Access::Reader(May::Exports),
    params: &[
        Param {
            required: true,
            default: None,
            ..one_of(
                "kind",
                "A record for every row of the report, or for every line of every request",
                &["summary", "trail"],
                "summary",
            )
        },
        PERIOD,
        BY,
        TZ,
        TENANT,
        SYNTHETIC,
        one_of(
            "format",
            "The form of the file",
            &["csv", "json", "parquet"],
            "csv",
        ),
    ],
    media: &[CSV, NDJSON, PARQUET],
    members: &[],
    headers: &[
        ("etag", "The SHA-256 of the file, in hexadecimal"),
        ("repr-digest", "The same as RFC 9530 has it"),
        ("content-disposition", "A name for the file"),
        ("tollgate-report-hash", "The report that it adds up to"),
        ("tollgate-records", "How many records the file has"),
        ("tollgate-complete", "Whether its cost is all of it"),
        ("tollgate-unreadable-records", "How many are in no row"),
        (
            "tollgate-manifest",
            "The manifest in base 64, for `tollgate export verify`",
        ),
    ],
    serves: Serves::Exports,
};

const PRICES: Endpoint = Endpoint {
    path: "/v1/prices",
    id: "prices",
    summary: "Lines of the price book that is in force: `tollgate prices list`",
    access: Access::Reader(May::Reports),
    params: &[
        param("provider", "Only this provider", "openai"),
        param(
            "model",
            "What a model of this name is priced by",
            "gpt-4o-2024-11-20",
        ),
        param(
            "at",
            "Only what holds at a day (midnight UTC) or a time with its offset",
            "2026-11-24",
        ),
        FORMAT,
    ],
    media: &[JSON, CSV],
    members: &[],
    headers: &[
        ETAG_OF_PRICES,
        ("tollgate-price-version", "The version of the price book"),
    ],
    serves: Serves::Prices,
};

const ETAG_OF_PRICES: (&str, &str) = ("etag", "The SHA-256 of the answer, in hexadecimal");

const READER: Endpoint = Endpoint {
    path: "/v1/reader",
    id: "reader",
    summary: "Whose token this is, and what it may read",
    access: Access::AnyReader,
    params: &[],
    media: &[JSON],
    members: &[
        member("name", TEXT, "The reader's name"),
        member(
            "tenants",
            &["array", "null"],
            "The tenants it sees; null is all",
        ),
        member("may", ARRAY, "What it may ask for: reports, audit, exports"),
    ],
    headers: &[],
    serves: Serves::Reader,
};

const OPENAPI: Endpoint = Endpoint {
    path: "/openapi.json",
    id: "openapi",
    summary: "This description, in OpenAPI 3.1",
    access: Access::Anybody,
    params: &[],
    media: &[JSON],
    members: &[
        member("openapi", TEXT, "3.1.1"),
        member("info", OBJECT, "Title and version"),
        member("servers", ARRAY, "Where it is"),
        member("paths", OBJECT, "The endpoints"),
        member("components", OBJECT, "The error and the token"),
    ],
    headers: &[],
    serves: Serves::OpenApi,
};

const CONSOLE: Endpoint = Endpoint {
    path: "/",
    id: "console",
    summary: "A page that shows the month",
    access: Access::Anybody,
    params: &[],
    media: &[HTML],
    members: &[],
    headers: &[],
    serves: Serves::Console,
};
