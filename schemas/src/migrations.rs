//! The numbered SQL migrations: one statement each, idempotent, expand then contract.
//!
//! An applied file never changes: the runner keeps its digest and refuses a different one.

/// `(version, name, statement)`, in the order they are applied.
pub const ALL: &[(u32, &str, &str)] = &[
    (
        1,
        "audit_log",
        include_str!("../migrations/0001_audit_log.sql"),
    ),
    (
        2,
        "usage_events",
        include_str!("../migrations/0002_usage_events.sql"),
    ),
    (3, "cuts", include_str!("../migrations/0003_cuts.sql")),
    (
        4,
        "usage_extra_lines",
        include_str!("../migrations/0004_usage_extra_lines.sql"),
    ),
    (
        5,
        "imported_spend",
        include_str!("../migrations/0005_imported_spend.sql"),
    ),
    (
        6,
        "usage_policies",
        include_str!("../migrations/0006_usage_policies.sql"),
    ),
    (
        7,
        "producer_log",
        include_str!("../migrations/0007_producer_log.sql"),
    ),
    (
        8,
        "usage_priced_as",
        include_str!("../migrations/0008_usage_priced_as.sql"),
    ),
    (
        9,
        "audit_log_indexes",
        include_str!("../migrations/0009_audit_log_indexes.sql"),
    ),
    (
        10,
        "audit_log_indexed",
        include_str!("../migrations/0010_audit_log_indexed.sql"),
    ),
    (
        11,
        "audit_log_packed",
        include_str!("../migrations/0011_audit_log_packed.sql"),
    ),
    (
        12,
        "audit_log_merges",
        include_str!("../migrations/0012_audit_log_merges.sql"),
    ),
    (
        13,
        "usage_events_merges",
        include_str!("../migrations/0013_usage_events_merges.sql"),
    ),
    (
        14,
        "usage_rated",
        include_str!("../migrations/0014_usage_rated.sql"),
    ),
    (
        15,
        "usage_months",
        include_str!("../migrations/0015_usage_months.sql"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enums::{
        Api, AuthMethod, Billable, Capacity, ClockQuality, Durability, Outcome, ProducerKind,
        RouteReason, UsageQuality, UsageSource,
    };
    use crate::rows::{AuditRow, Columns, CutRow, Fate, ProducerRow, UsageRow};

    #[test]
    fn versions_are_dense_and_each_file_is_one_idempotent_statement() {
        for (at, (version, name, sql)) in ALL.iter().enumerate() {
            assert_eq!(*version as usize, at + 1);
            // A setting is the same when it is said again.
            let idempotent = ["IF NOT EXISTS", "IF EXISTS", "MODIFY SETTING"];
            assert!(idempotent.iter().any(|words| sql.contains(words)), "{name}");
            assert!(
                !sql.contains(';'),
                "{name}: one statement, without a semicolon"
            );
        }
    }

    fn columns_of(sql: &str) -> Vec<String> {
        let body = &sql[sql.find('(').unwrap() + 1..sql.rfind("\n)").unwrap()];
        body.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with("--"))
            .map(|line| line.split_whitespace().next().unwrap().to_owned())
            .filter(|word| !matches!(word.as_str(), "INDEX" | "CONSTRAINT"))
            .collect()
    }

    /// The columns of a table after the migrations that add to it: `ADD COLUMN IF NOT EXISTS name type AFTER other`.
    fn columns_after_all(table: &str, created: usize) -> Vec<String> {
        let mut columns = columns_of(ALL[created].2);
        let altered = format!("ALTER TABLE {table}\n");
        for (_, _, sql) in ALL.iter().filter(|(_, _, sql)| sql.contains(&altered)) {
            for added in sql.split("ADD COLUMN IF NOT EXISTS ").skip(1) {
                let name = added.split_whitespace().next().unwrap();
                let (_, after) = added.split_once(" AFTER ").unwrap();
                let after = after.split([',', '\n']).next().unwrap();
                let at = columns.iter().position(|column| column == after).unwrap();
                columns.insert(at + 1, name.to_owned());
            }
        }
        columns
    }

    #[test]
    fn every_column_of_a_row_is_a_column_of_its_table_and_the_other_way_round() {
        let tables: [(&str, &[&str], usize); 4] = [
            (AuditRow::TABLE, AuditRow::COLUMNS, 0),
            (UsageRow::TABLE, UsageRow::COLUMNS, 1),
            (CutRow::TABLE, CutRow::COLUMNS, 2),
            (ProducerRow::TABLE, ProducerRow::COLUMNS, 6),
        ];
        for (table, columns, file) in tables {
            assert_eq!(columns_after_all(table, file), columns, "{table}");
        }
    }

    fn enum8(names: impl Iterator<Item = (String, u8)>) -> String {
        let values: Vec<_> = names
            .map(|(name, number)| format!("'{name}' = {number}"))
            .collect();
        format!("Enum8({})", values.join(", "))
    }

    #[test]
    fn closed_lists_and_the_stores_enums_are_the_same() {
        macro_rules! check {
            ($($list:ident),+) => { $(
                let wanted = enum8($list::ALL.iter().map(|v| (v.to_string(), v.number())));
                let stated = ALL.iter().any(|(_, _, sql)| sql.contains(&wanted));
                assert!(stated, "{wanted}");
            )+ };
        }
        check!(
            AuthMethod,
            Api,
            Capacity,
            RouteReason,
            ClockQuality,
            UsageSource,
            UsageQuality,
            Billable,
            Outcome,
            Durability
        );
        let fates = enum8(
            Fate::NAMES
                .iter()
                .map(|(n, v)| ((*n).to_owned(), u8::try_from(*v).unwrap())),
        );
        assert!(ALL[0].2.contains(&fates), "{fates}");
        let kinds = enum8(
            ProducerKind::ALL
                .iter()
                .map(|kind| (kind.to_string(), kind.number())),
        );
        assert!(ALL[6].2.contains(&kinds), "{kinds}");
    }
}
