//! The statements for a cluster, as far as one server without a keeper can judge them: they are the ones that are kept beside the
//! migrations, the real parser takes each, and what the real engine refuses it refuses for want of a cluster alone.

use std::process::Command;

use store::StoreError;
use tests::tollgate;

use super::store_under_test::StoreUnderTest;

/// ClickHouse's numbers: no keeper is configured; no cluster of this name is.
const NO_KEEPER: u32 = 225;
const NO_CLUSTER: u32 = 701;
const NO_TABLE: u32 = 60;

fn printed(more: &[&str]) -> String {
    let output = Command::new(tollgate())
        .args(["migrate", "--print"])
        .args(more)
        .output();
    let output = output.expect("the program under test starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("a text")
}

fn statements(printed: &str) -> Vec<String> {
    let statements = printed.split(";\n").map(str::trim);
    let statements = statements.filter(|statement| !statement.is_empty());
    statements.map(str::to_owned).collect()
}

/// Set `TOLLGATE_BLESS` to write the file anew; then read what changed in it.
#[test]
fn the_statements_for_a_cluster_are_the_ones_that_are_kept() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/golden/cluster.sql");
    let printed = printed(&["--cluster", "main"]);
    if std::env::var_os("TOLLGATE_BLESS").is_some() {
        std::fs::write(path, &printed).expect("a file can be written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == printed,
        "run this test with TOLLGATE_BLESS=1 and read the difference"
    );
}

#[test]
fn names_that_are_not_plain_are_refused() {
    for wrong in [["--cluster", "a'b"], ["--database", "a b"]] {
        let output = Command::new(tollgate())
            .args(["migrate", "--print", "--cluster", "main"])
            .args(wrong)
            .output();
        let output = output.expect("the program under test starts");
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[tokio::test]
async fn the_real_parser_takes_every_statement() {
    let store = StoreUnderTest::start().await;
    let printed = printed(&["--cluster", "main"]);
    let statements = statements(&printed);
    // One of each at the least, and the tables that lead to the shards; each says once that it is for the cluster.
    assert!(statements.len() > schemas::migrations::ALL.len());
    assert_eq!(
        statements.len(),
        printed.matches(" ON CLUSTER 'main'").count()
    );
    for statement in statements {
        assert_eq!(statement.matches(" ON CLUSTER 'main'").count(), 1);
        let tree = store.text(&format!("EXPLAIN AST {statement}")).await;
        assert!(tree.contains("Query"), "{statement}: {tree}");
    }
    let broken = "EXPLAIN AST CREATE TABLE t ON CLUSTER 'main' (x Int8) ENGINE ORDER BY";
    let refused = store.client.statement(broken).execute().await;
    assert_eq!(refused.expect_err("it is none").code(), Some(62));
}

/// Each statement on one server: without `ON CLUSTER`, and with the words that a server's own configuration puts into it.
#[tokio::test]
async fn the_real_engine_lacks_a_keeper_and_a_cluster_and_nothing_else() {
    let store = StoreUnderTest::start().await;
    if !store.is_embedded() {
        return;
    }
    let (mut made, mut no_keeper, mut no_cluster) = (0, 0, 0);
    for statement in statements(&printed(&["--cluster", "main"])) {
        let here = statement
            .replace(" ON CLUSTER 'main'", "")
            .replace("{shard}", "1")
            .replace("{replica}", "a");
        let refused = store.client.statement(&here).execute().await.err();
        match &refused {
            None => made += 1,
            Some(error) if is(error, NO_KEEPER) => {
                no_keeper += 1;
                // The same table where it needs no keeper: columns, keys and settings are those of the migration.
                let alone = without_keeper(&here);
                store.run(&alone).await;
            }
            Some(error) if is(error, NO_CLUSTER) => no_cluster += 1,
            // A table over all shards was not made, for want of a cluster, and is not there to be altered.
            Some(error) if is(error, NO_TABLE) && here.starts_with("ALTER TABLE tollgate_all.") => {
            }
            Some(other) => panic!("{other}: {statement}"),
        }
    }
    assert_eq!(
        (no_keeper > 3, no_cluster > 3, made > 3),
        (true, true, true)
    );
}

/// Whether it is ClickHouse's error of this number, whatever may be done about it.
fn is(error: &StoreError, number: u32) -> bool {
    error.to_string().contains(&format!("Code: {number}. "))
}

fn without_keeper(sql: &str) -> String {
    let (before, after) = sql.split_once("ENGINE = Replicated").expect("an engine");
    let (family, rest) = after.split_once('(').expect("arguments");
    let (arguments, tail) = rest.split_once(")\n").expect("a tail");
    let own: Vec<&str> = arguments.split(", ").skip(2).collect();
    let tail = tail.replace(
        "replicated_deduplication_window =",
        "non_replicated_deduplication_window =",
    );
    format!("{before}ENGINE = {family}({})\n{tail}", own.join(", "))
}
