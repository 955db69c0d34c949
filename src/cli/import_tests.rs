//! The configuration that is written is one that the gateway serves with, and old secrets go on working.

use gateway::Snapshot;

use super::*;

const BASE: &str = r#"
data_dir = "data"
[[deployments]]
id = "d"
provider = "openai"
base_url = "https://localhost/v1"
auth = "none"
[[routes]]
model = "gpt-4o"
aliases = ["gpt-4"]
deployment = "d"
"#;

fn digest(secret: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(secret))
}

fn keys(folder: &Path, rows: &str) -> anyhow::Result<ExitCode> {
    let (file, config) = (folder.join("keys.json"), folder.join("tollgate.toml"));
    std::fs::write(&file, rows)?;
    std::fs::write(&config, BASE)?;
    let args = KeysArgs {
        of: Export {
            from: "litellm".to_owned(),
            file,
            without_team: "imported".to_owned(),
            refused: Some(folder.join("refused.csv")),
        },
        config: Some(config),
        format: "toml".to_owned(),
        out: Some(folder.join("tenants.toml")),
    };
    args.run()
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("tollgate-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn an_old_secret_is_known_to_the_gateway_that_loads_what_was_written() {
    let folder = folder("import-keys");
    let rows = format!(
        r#"{{"keys":[
        {{"token":"{}","key_alias":"search","team_id":"team-1","models":["gpt-4","o3"],"max_budget":25.5,"blocked":null}},
        {{"token":"{}","key_alias":"old","team_id":null,"models":[],"blocked":true}}],"total_count":2}}"#,
        digest("sk-search"),
        digest("sk-old")
    );
    assert_eq!(keys(&folder, &rows).unwrap(), ExitCode::SUCCESS);
    let written = std::fs::read_to_string(folder.join("tenants.toml")).unwrap();
    let whole = folder.join("whole.toml");
    std::fs::write(&whole, format!("{BASE}{written}")).unwrap();
    let loaded = Config::load(&whole).unwrap();
    let snapshot = Snapshot::compile(&loaded.value.for_gateway(), &loaded.text)
        .unwrap_or_else(|error| panic!("{}\n{written}", error.message));
    let search = snapshot.principal(b"sk-search").expect("known");
    assert_eq!(
        (search.tenant.as_str(), search.key_id.as_str()),
        ("team-1", "search")
    );
    assert!(search.may_use("gpt-4o") && !search.may_use("o3"));
    assert!(!search.disabled);
    let old = snapshot.principal(b"sk-old").expect("known");
    assert_eq!((old.tenant.as_str(), old.disabled), ("imported", true));
    assert!(snapshot.principal(b"sk-other").is_none());
    let refused = std::fs::read_to_string(folder.join("refused.csv")).unwrap();
    assert!(
        refused.contains("search,models,no route for `o3`")
            && refused.contains("search,max_budget,"),
        "{refused}"
    );
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn exit_codes_tell_a_whole_import_from_a_part_and_from_a_wrong_file() {
    let folder = folder("import-codes");
    let part = format!(r#"[{{"token":"{}"}},{{"token":"sk-plain"}}]"#, digest("a"));
    assert_eq!(keys(&folder, &part).unwrap(), ExitCode::FAILURE);
    let wrong = keys(&folder, "name,email\na,b\n").unwrap_err();
    assert!(wrong.is::<Usage>(), "{wrong}");
    let spend = |text: &str| {
        let file = folder.join("spend");
        std::fs::write(&file, text).unwrap();
        let args = SpendArgs {
            of: Export {
                from: "litellm".to_owned(),
                file,
                without_team: "imported".to_owned(),
                refused: Some(folder.join("refused.json")),
            },
            config: ConfigArg {
                config: folder.join("none.toml"),
            },
            source: None,
            dry_run: true,
        };
        args.run()
    };
    let row = "request_id,spend,total_tokens,prompt_tokens,completion_tokens,startTime,endTime\na,1e-05,3,2,1,2026-11-24 12:00:00,2026-11-24 12:00:01\n";
    assert_eq!(spend(row).unwrap(), ExitCode::SUCCESS);
    assert_eq!(
        spend(&format!(
            "{row}b,,3,2,1,2026-11-24 12:00:00,2026-11-24 12:00:01\n"
        ))
        .unwrap(),
        ExitCode::FAILURE
    );
    assert!(spend("[{").unwrap_err().is::<Usage>());
    std::fs::remove_dir_all(&folder).unwrap();
}
