//! The closed lists of a record. Each value has a name (on the wire) and a number (in stores), and neither
//! ever changes: a new value takes the next number.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that is not on a closed list.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{given}` is not one of: {known}")]
pub struct UnknownName {
    given: String,
    known: String,
}

macro_rules! closed {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $number:literal $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[repr(u8)]
        pub enum $name { $($(#[$value_doc])* #[serde(rename = $text)] $value = $number),+ }

        impl $name {
            /// Every value, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$value),+];

            /// The name on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text),+ }
            }

            /// The number in stores.
            #[must_use]
            pub fn number(self) -> u8 {
                self as u8
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownName;

            fn from_str(text: &str) -> Result<Self, UnknownName> {
                match text {
                    $($text => Ok(Self::$value),)+
                    _ => Err(UnknownName {
                        given: text.chars().take(64).collect(),
                        known: [$($text),+].join(", "),
                    }),
                }
            }
        }
    };
}

closed! {
    /// The one final fate of a request.
    Outcome {
        /// The whole answer was given to the app.
        Completed = 1 "completed",
        /// The app went away before the whole answer was given.
        ClientAborted = 2 "client_aborted",
        /// The provider failed or broke off.
        UpstreamError = 3 "upstream_error",
        /// One of our time limits ended it.
        Timeout = 4 "timeout",
        /// The provider's content filter refused it.
        Filtered = 5 "filtered",
        /// No valid credential.
        RefusedAuth = 6 "refused_auth",
        /// The request itself was at fault.
        RefusedInvalid = 7 "refused_invalid",
        /// A rate limit, or room (the journal's, a connection's) was short.
        RefusedLimit = 8 "refused_limit",
        /// A period quota or a budget is used up.
        RefusedBudget = 9 "refused_budget",
        /// A policy forbids it.
        RefusedPolicy = 10 "refused_policy",
        /// Answered from the cache.
        CacheHit = 11 "cache_hit",
        /// The process died before it could say; closed by the next start.
        Unknown = 12 "unknown",
    }
}

impl Outcome {
    /// Whether the gateway refused the request before any provider was called.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::RefusedAuth
                | Self::RefusedInvalid
                | Self::RefusedLimit
                | Self::RefusedBudget
                | Self::RefusedPolicy
        )
    }
}

closed! {
    /// How the app's credential was verified.
    AuthMethod {
        /// A key.
        Key = 1 "key",
        /// A signed token.
        Jwt = 2 "jwt",
        /// A client certificate.
        Mtls = 3 "mtls",
        /// None was, or none was asked.
        Anonymous = 4 "anonymous",
    }
}

closed! {
    /// The API that was called.
    Api {
        /// `/v1/chat/completions`
        Chat = 1 "chat",
        /// `/v1/completions`
        Completions = 2 "completions",
        /// `/v1/responses`
        Responses = 3 "responses",
        /// `/v1/embeddings`
        Embeddings = 4 "embeddings",
        /// `/v1/images/*`
        Images = 5 "images",
        /// `/v1/audio/*`
        Audio = 6 "audio",
        /// Anthropic messages
        Messages = 7 "messages",
        /// Gemini
        GenerateContent = 8 "generate_content",
        /// `/v1/moderations`
        Moderations = 9 "moderations",
        /// `/v1/models`: a list, no usage
        Models = 10 "models",
        /// A path that has no meter; always refused
        Unmetered = 11 "unmetered",
        /// Amazon Bedrock's Converse
        Converse = 12 "converse",
        /// Sessions over a `WebSocket`
        Realtime = 13 "realtime",
        /// Ordering of documents
        Rerank = 14 "rerank",
        /// Counting of a prompt's tokens; free
        CountTokens = 15 "count_tokens",
    }
}

closed! {
    /// How the capacity behind a deployment is paid.
    Capacity {
        /// Paid for whether used or not.
        Ptu = 1 "ptu",
        /// Paid by use.
        Paygo = 2 "paygo",
    }
}

closed! {
    /// Why this deployment served the request.
    RouteReason {
        /// The first choice.
        Primary = 1 "primary",
        /// The first choice was full.
        Spill = 2 "spill",
        /// The first choice failed.
        Failover = 3 "failover",
        /// The session is tied to it.
        Pinned = 4 "pinned",
        /// A share of traffic tries a new version.
        Canary = 5 "canary",
        /// No deployment: the cache.
        Cache = 6 "cache",
    }
}

closed! {
    /// Where the units come from. Rank decides between two records of one event: see [`UsageSource::rank`].
    UsageSource {
        /// The provider reported them in the answer.
        Provider = 1 "provider",
        /// The provider reported them after the app had gone.
        Drained = 2 "drained",
        /// Some kinds reported, others estimated or unknown.
        Partial = 3 "partial",
        /// Counted by us with the tokenizer.
        Estimated = 4 "estimated",
        /// There are none.
        None = 5 "none",
    }
}

impl UsageSource {
    /// Provider > drained > partial > estimated > none: the greater rank wins, never the later time.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Provider => 5,
            Self::Drained => 4,
            Self::Partial => 3,
            Self::Estimated => 2,
            Self::None => 1,
        }
    }
}

closed! {
    /// Whether the provider's figures add up.
    UsageQuality {
        /// They do.
        Ok = 1 "ok",
        /// A sum, a sign or a type is wrong.
        Inconsistent = 2 "inconsistent",
        /// A figure has no unit of ours; it is kept verbatim.
        Unmapped = 3 "unmapped",
        /// There were none where the API bills by them.
        Missing = 4 "missing",
    }
}

closed! {
    /// Whether the provider bills this request, by the provider's own rules.
    Billable {
        /// It does.
        Yes = 1 "yes",
        /// It does not.
        No = 2 "no",
        /// Its rules do not say.
        Unclear = 3 "unclear",
    }
}

closed! {
    /// When a record counts as kept.
    Durability {
        /// Survives a killed process.
        Written = 1 "written",
        /// Survives a power cut.
        Synced = 2 "synced",
        /// Survives the machine.
        Replicated = 3 "replicated",
    }
}

closed! {
    /// Whether this gateway's clock agrees with the log's.
    ClockQuality {
        /// As far as we can tell.
        Good = 1 "good",
        /// More than five seconds apart.
        Skewed = 2 "skewed",
    }
}

closed! {
    /// The level at which a limit stands.
    LimitLevel {
        /// One credential.
        Key = 1 "key",
        /// A project.
        Project = 2 "project",
        /// A tenant.
        Tenant = 3 "tenant",
        /// All tenants of an organisation.
        Organisation = 4 "organisation",
        /// This gateway's own room: its journal, its connections.
        Gateway = 5 "gateway",
    }
}

closed! {
    /// What a limit counts.
    LimitKind {
        /// Requests in a time.
        Requests = 1 "requests",
        /// Tokens in a time.
        Tokens = 2 "tokens",
        /// Requests at once.
        Concurrency = 3 "concurrency",
        /// Money in a period.
        Money = 4 "money",
        /// Bytes of a request.
        Bytes = 5 "bytes",
        /// Bytes of the journal.
        Journal = 6 "journal",
    }
}

closed! {
    /// What the cache did.
    CacheStatus {
        /// Answered.
        Hit = 1 "hit",
        /// Did not know.
        Miss = 2 "miss",
        /// Was not asked.
        Bypass = 3 "bypass",
    }
}

closed! {
    /// How the cache compares.
    CacheKind {
        /// Byte for byte.
        Exact = 1 "exact",
        /// By meaning.
        Semantic = 2 "semantic",
    }
}

closed! {
    /// What a row of `producer_log` says.
    ProducerKind {
        /// A sign of life with its counters.
        Heartbeat = 1 "heartbeat",
        /// The first start there is.
        Registered = 2 "registered",
        /// A start serves.
        Live = 3 "live",
        /// It takes no new requests.
        Draining = 4 "draining",
        /// Nothing comes after its last number.
        Closed = 5 "closed",
        /// Its heartbeats stopped.
        Silent = 6 "silent",
        /// It never comes back.
        DeclaredLost = 7 "declared_lost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_numbers_are_dense() {
        for (at, outcome) in Outcome::ALL.iter().enumerate() {
            assert_eq!(usize::from(outcome.number()), at + 1);
            assert_eq!(outcome.as_str().parse(), Ok(*outcome));
            assert_eq!(
                serde_json::to_string(outcome).unwrap(),
                format!("\"{outcome}\"")
            );
        }
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let text = "later".parse::<Capacity>().unwrap_err().to_string();
        assert_eq!(text, "`later` is not one of: ptu, paygo");
    }

    #[test]
    fn the_providers_word_outranks_every_guess() {
        let mut by_rank = UsageSource::ALL.to_vec();
        by_rank.sort_by_key(|source| std::cmp::Reverse(source.rank()));
        assert_eq!(by_rank[0], UsageSource::Provider);
        assert_eq!(by_rank[1], UsageSource::Drained);
        assert_eq!(by_rank[4], UsageSource::None);
    }
}
