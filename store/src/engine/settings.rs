//! Which settings a request may bring in its URL, and the statements that put them on its session.

use super::reader;
use super::refusal::Refusal;
use crate::User;

/// Longest value of a setting, in bytes; a query's parameter may be longer.
const MAX_VALUE_BYTES: usize = 1_024;
const MAX_PARAMETER_BYTES: usize = 64 << 10;

/// Words of the transport, which mean nothing here: each request is a session of its own and its answer is sent whole.
const IGNORED: [&str; 16] = [
    "add_http_cors_header",
    "buffer_size",
    "cancel_http_readonly_queries_on_client_close",
    "client_protocol_version",
    "close_session",
    "enable_http_compression",
    "http_headers_progress_interval_ms",
    "http_write_exception_in_output_format",
    "http_zlib_compression_level",
    "query_id",
    "quota_key",
    "send_progress_in_http_headers",
    "session_check",
    "session_id",
    "session_timeout",
    "wait_end_of_query",
];

const FOR_BOTH: [&str; 23] = [
    "date_time_output_format",
    "decimal_check_overflow",
    "describe_include_subcolumns",
    "do_not_merge_across_partitions_select_final",
    "final",
    "group_by_use_nulls",
    "join_use_nulls",
    "log_comment",
    "max_ast_depth",
    "max_block_size",
    "max_bytes_before_external_group_by",
    "max_bytes_before_external_sort",
    "max_bytes_to_read",
    "max_execution_time",
    "max_memory_usage",
    "max_result_bytes",
    "max_result_rows",
    "max_rows_to_read",
    "max_threads",
    "optimize_read_in_order",
    "readonly",
    "session_timezone",
    "union_default_mode",
];

const FOR_THE_WRITER: [&str; 25] = [
    "alter_sync",
    "async_insert",
    "database_atomic_wait_for_drop_and_detach_synchronously",
    "date_time_input_format",
    "deduplicate_blocks_in_dependent_materialized_views",
    "format_binary_max_array_size",
    "format_binary_max_string_size",
    "fsync_metadata",
    "insert_deduplicate",
    "insert_deduplication_token",
    "insert_null_as_default",
    "lock_acquire_timeout",
    "max_insert_block_size",
    "max_insert_block_size_bytes",
    "max_insert_threads",
    "max_partitions_per_insert_block",
    "max_query_size",
    "min_insert_block_size_bytes",
    "min_insert_block_size_rows",
    "mutations_sync",
    "optimize_on_insert",
    "read_overflow_mode",
    "result_overflow_mode",
    "timeout_overflow_mode",
    "wait_for_async_insert",
];

/// The most that any result may hold, in bytes: it is in memory twice before it is sent.
const WRITER_MAX_RESULT_BYTES: u64 = 1 << 30;

/// The longest that any statement may run: nobody waits for it any more.
const WRITER_MAX_SECONDS: u64 = 900;

/// How a session may change things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// As the user may.
    Full,
    /// Nothing changes: a GET, or the client asked for it.
    ReadOnly,
}

/// What a request asked for besides its query.
#[derive(Debug, Default)]
pub(super) struct SessionSettings {
    assignments: Vec<(String, String)>,
    asked_read_only: bool,
}

impl SessionSettings {
    /// Takes one pair of the URL (or form), refusing what is not on the list.
    pub(super) fn add(&mut self, user: User, name: &str, value: &str) -> Result<(), Refusal> {
        let is_parameter = is_parameter(name);
        let longest = if is_parameter {
            MAX_PARAMETER_BYTES
        } else {
            MAX_VALUE_BYTES
        };
        if value.len() > longest || value.contains('\0') {
            return Err(Refusal::bad_arguments(&format!(
                "the value of {} is not fit to use",
                printable(name)
            )));
        }
        if IGNORED.contains(&name) {
            return Ok(());
        }
        if matches!(name, "compress" | "decompress") {
            return if value == "0" {
                Ok(())
            } else {
                Err(Refusal::not_offered("block compression"))
            };
        }
        if name == "readonly" {
            self.asked_read_only |= value != "0";
            return Ok(());
        }
        if !is_parameter && !is_allowed(user, name) {
            return Err(Refusal::unknown_setting(&printable(name)));
        }
        self.assignments.retain(|(known, _)| known != name);
        self.assignments.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    /// The statements to run on a fresh session before the query.
    pub(super) fn statements(mut self, user: User, access: Access) -> Vec<String> {
        match user {
            User::Reader => self.bound_reader(),
            User::Writer => {
                self.bound("max_result_bytes", max_result_bytes(user));
                self.bound("max_execution_time", WRITER_MAX_SECONDS);
            }
        }
        let pairs: Vec<String> = self
            .assignments
            .iter()
            .map(|(name, value)| format!("{name} = {}", text_literal(value)))
            .collect();
        let mut statements = vec![format!("SET {}", pairs.join(", "))];
        if user == User::Reader || access == Access::ReadOnly || self.asked_read_only {
            statements.push("SET readonly = 1".to_owned());
        }
        statements
    }

    fn bound_reader(&mut self) {
        for (name, limit) in reader::LIMITS {
            self.bound(name, limit);
        }
        // Half of the cores, two of few: inserts go on beside a heavy report.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (cores / 2).max(cores.min(2));
        self.bound("max_threads", u64::try_from(threads).unwrap_or(1));
    }

    /// Sets a limit, or lowers it to what was asked. 0 means no limit to the engine, so it is the limit here.
    fn bound(&mut self, name: &str, limit: u64) {
        let asked = self
            .assignments
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| value.parse().ok());
        let value = asked
            .filter(|asked| *asked != 0)
            .map_or(limit, |asked: u64| asked.min(limit));
        self.assignments.retain(|(known, _)| known != name);
        self.assignments.push((name.to_owned(), value.to_string()));
    }
}

/// The most that a result may hold.
pub(super) fn max_result_bytes(user: User) -> u64 {
    match user {
        User::Writer => WRITER_MAX_RESULT_BYTES,
        User::Reader => reader::MAX_RESULT_BYTES,
    }
}

/// `param_x`: a value for `{x:Type}` in the query.
fn is_parameter(name: &str) -> bool {
    name.strip_prefix("param_").is_some_and(is_plain_name)
}

fn is_allowed(user: User, name: &str) -> bool {
    let for_both =
        FOR_BOTH.contains(&name) || (name.starts_with("output_format_") && is_plain_name(name));
    let for_writer = FOR_THE_WRITER.contains(&name)
        || (name.starts_with("input_format_") && is_plain_name(name));
    for_both || (user == User::Writer && for_writer)
}

fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A name a stranger sent, short and plain enough for an error's text.
fn printable(name: &str) -> String {
    name.chars()
        .filter(char::is_ascii_graphic)
        .take(60)
        .collect()
}

/// A string literal of ClickHouse's SQL.
pub(super) fn text_literal(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A quoted identifier of ClickHouse's SQL.
pub(super) fn name_literal(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(user: User, pairs: &[(&str, &str)]) -> Result<Vec<String>, Refusal> {
        let mut settings = SessionSettings::default();
        for (name, value) in pairs {
            settings.add(user, name, value)?;
        }
        Ok(settings.statements(user, Access::Full))
    }

    #[test]
    fn the_reader_cannot_lift_its_limits() {
        let set = statements(
            User::Reader,
            &[
                ("max_execution_time", "0"),
                ("max_result_bytes", "99999999999"),
                ("readonly", "0"),
            ],
        );
        let set = set.unwrap();
        assert!(set[0].contains("max_execution_time = '60'"), "{set:?}");
        assert!(set[0].contains("max_result_bytes = '268435456'"), "{set:?}");
        assert_eq!(set[1], "SET readonly = 1");
        let lower = statements(User::Reader, &[("max_execution_time", "5")]).unwrap();
        assert!(lower[0].contains("max_execution_time = '5'"), "{lower:?}");
    }

    #[test]
    fn settings_come_from_a_list() {
        for name in [
            "insert_deduplication_token",
            "async_insert",
            "user_files_path",
            "x = 1, readonly",
            "",
        ] {
            assert!(statements(User::Reader, &[(name, "1")]).is_err(), "{name}");
        }
        for name in [
            "allow_introspection_functions",
            "param_a b",
            "output_format_x'",
        ] {
            assert!(statements(User::Writer, &[(name, "1")]).is_err(), "{name}");
        }
        assert!(
            statements(
                User::Reader,
                &[("session_id", "x"), ("wait_end_of_query", "1")]
            )
            .is_ok()
        );
        assert!(statements(User::Writer, &[("compress", "1")]).is_err());
    }

    #[test]
    fn values_cannot_leave_their_quotes() {
        let set = statements(
            User::Writer,
            &[("insert_deduplication_token", "a', readonly = '0\\")],
        )
        .unwrap();
        assert!(
            set[0].contains(r"insert_deduplication_token = 'a\', readonly = \'0\\'"),
            "{set:?}"
        );
    }
}
