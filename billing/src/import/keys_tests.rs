//! Excerpts of key lists in the shape of the real ones; names and digests are our own.

use super::*;

const NOW: Micros = Micros(1_795_521_600_000_000);

fn digest(secret: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(secret))
}

fn imported(text: &str, routes: Option<&[(&str, &str)]>) -> ImportedKeys {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    std::fs::write(&path, text).unwrap();
    let names = |(name, model): &(&str, &str)| ((*name).to_owned(), (*model).to_owned());
    let request = KeyRequest {
        without_team: "imported".to_owned(),
        routes: routes.map(|routes| routes.iter().map(names).collect()),
        now: NOW,
    };
    import_keys(&path, &request).unwrap()
}

fn reasons(imported: &ImportedKeys) -> Vec<String> {
    let kept = imported.refusals.kept().iter();
    kept.map(|one| format!("{} {}: {}", one.entry, one.field, one.reason))
        .collect()
}

/// The key of this name, as the file's own words say it.
fn key<'a>(file: &'a toml::Table, name: &str) -> &'a toml::Table {
    let list = |value: &'a toml::Value| value.as_array().unwrap().iter();
    list(&file["tenants"])
        .flat_map(|tenant| list(&tenant["projects"]))
        .flat_map(|project| list(&project["keys"]))
        .map(|key| key.as_table().unwrap())
        .find(|key| key["id"].as_str() == Some(name))
        .unwrap_or_else(|| panic!("no key {name}"))
}

#[test]
fn a_list_and_a_dump_of_the_table_give_the_same_configuration() {
    let (a, b) = (digest("sk-a"), digest("sk-b"));
    let json = format!(
        r#"{{"keys": [
        {{"token": "{a}", "key_name": "sk-...aaaa", "key_alias": "search", "spend": 1.2e-05, "max_budget": 25.5,
          "budget_duration": "30d", "expires": null, "models": ["gpt-4o"], "team_id": "team-1", "user_id": "u",
          "blocked": null, "tpm_limit": 1000, "rpm_limit": null, "metadata": {{}}, "aliases": {{}}}},
        {{"token": "{b}", "key_alias": null, "spend": 0.0, "max_budget": null, "models": [], "team_id": null,
          "blocked": true, "tpm_limit": null, "metadata": {{}}, "permissions": {{}}}}],
        "total_count": 2, "current_page": 1, "total_pages": 1}}"#
    );
    let csv = format!(
        "token,key_name,key_alias,spend,max_budget,budget_duration,expires,models,team_id,user_id,blocked,tpm_limit,metadata\n\
         {a},sk-...aaaa,search,1.2e-05,25.5,30d,,{{gpt-4o}},team-1,u,,1000,{{}}\n\
         {b},,,0,,,,{{}},,,t,,{{}}\n"
    );
    let (json, csv) = (imported(&json, None), imported(&csv, None));
    assert_eq!(json.toml, csv.toml);
    assert_eq!((json.keys, json.disabled, json.left_out), (2, 1, 0));
    assert!(
        json.toml.contains(r#"# there: max_budget = "25.5", budget_duration = "30d", spend = "0.000012", tpm_limit = "1000""#),
        "{}",
        json.toml
    );
    let file: toml::Table = json.toml.parse().unwrap();
    assert_eq!(key(&file, "search")["sha256"].as_str(), Some(a.as_str()));
    let unnamed = format!("litellm-{}", &b[..12]);
    assert_eq!(key(&file, &unnamed)["disabled"].as_bool(), Some(true));
    let reasons = reasons(&json);
    for field in ["max_budget", "budget_duration", "tpm_limit"] {
        assert!(
            reasons
                .iter()
                .any(|one| one.starts_with(&format!("search {field}:"))),
            "{reasons:?}"
        );
    }
}

#[test]
fn secrets_and_foreign_digests_are_left_out_and_not_repeated() {
    let rows = [
        r#"{"token":"sk-very-secret","key_alias":"plain"}"#.to_owned(),
        r#"{"token":"5f4dcc3b5aa765d61d8327deb882cf99","key_alias":"md5"}"#.to_owned(),
        r#"{"token":null,"key_alias":"none"}"#.to_owned(),
        format!(
            r#"{{"token":"{}","team_id":"litellm-dashboard"}}"#,
            digest("session")
        ),
        format!(r#"{{"token":"{}","key_alias":"one"}}"#, digest("one")),
        format!(r#"{{"token":"{}","key_alias":"again"}}"#, digest("one")),
        format!(
            r#"{{"token":"{}","key_alias":"one","expires":"some day"}}"#,
            digest("two")
        ),
        "no json".to_owned(),
    ];
    let found = imported(&rows.join("\n"), None);
    assert_eq!((found.keys, found.left_out), (1, 7));
    let reasons = reasons(&found).join("\n");
    for part in [
        "the secret itself",
        "no SHA-256",
        "no `token`",
        "own pages",
        "stands in the file before",
        "not an instant",
        "not JSON",
    ] {
        assert!(reasons.contains(part), "{part} in {reasons}");
    }
    assert!(
        !reasons.contains("very-secret") && !reasons.contains("5f4dcc3b"),
        "{reasons}"
    );
    assert!(!found.toml.contains("very-secret"));
}

#[test]
fn no_key_may_use_more_than_it_might_without_being_named() {
    let row = |name: &str, models: &str, more: &str| {
        format!(
            r#"{{"token":"{}","key_alias":"{name}","models":{models}{more}}}"#,
            digest(name)
        )
    };
    let rows = [
        row("some", r#"["gpt-4","no-route","gpt-4o"]"#, ""),
        row("lost", r#"["no-route","openai/*"]"#, ""),
        row("barred", r#"["no-default-models"]"#, ""),
        row("any", r#"["all-proxy-models"]"#, ""),
        row("of-team", r#"["all-team-models"]"#, r#","team_id":"t""#),
        row(
            "of-known-team",
            "[]",
            r#","team_id":"t","team_models":["gpt-4o"]"#,
        ),
        row("dead", "[]", r#","expires":"2026-11-24T11:59:59Z""#),
        row("dying", "[]", r#","expires":"2027-01-01T00:00:00Z""#),
        row("broke", "[]", r#","max_budget":0.0"#),
    ];
    let routes = [("gpt-4o", "gpt-4o"), ("gpt-4", "gpt-4o"), ("mini", "mini")];
    let found = imported(&rows.join("\n"), Some(&routes));
    let file: toml::Table = found.toml.parse().unwrap();
    let shown = |name: &str| {
        let key = key(&file, name);
        (
            key.get("models").map(ToString::to_string),
            key.contains_key("disabled"),
        )
    };
    let only_4o = Some(r#"["gpt-4o"]"#.to_owned());
    for (name, wanted) in [
        ("some", (only_4o.clone(), false)),
        ("lost", (None, true)),
        ("barred", (None, true)),
        ("any", (None, false)),
        ("of-team", (None, false)),
        ("of-known-team", (only_4o, false)),
        ("dead", (None, true)),
        ("dying", (None, false)),
        ("broke", (None, false)),
    ] {
        assert_eq!(shown(name), wanted, "{name}");
    }
    let reasons = reasons(&found).join("\n");
    for part in [
        "some models: no route for `no-route`",
        "lost models: no model is left",
        "of-team models: it has its team's models",
        "dead expires: expired on",
        "dying expires: keys do not expire here",
        "broke max_budget:",
    ] {
        assert!(reasons.contains(part), "{part} in {reasons}");
    }
}

#[test]
fn names_that_are_alike_are_told_apart_and_no_name_breaks_the_file() {
    let name = r"a\u0022b\\c\nd # [[x]]";
    let row = |secret: &str| {
        format!(
            r#"{{"token":"{}","key_alias":"{name}","team_id":"{name}","max_budget":1,"budget_duration":"{name}"}}"#,
            digest(secret)
        )
    };
    let found = imported(&[row("1"), row("2")].join("\n"), None);
    let file: toml::Table = found.toml.parse().unwrap();
    let plain = "a\"b\\c\nd # [[x]]";
    assert_eq!(file["tenants"][0]["id"].as_str(), Some(plain));
    key(&file, plain);
    key(&file, &format!("{plain}-{}", &digest("2")[..12]));
    assert!(
        reasons(&found)
            .iter()
            .any(|one| one.contains("another key has this name"))
    );
}

#[test]
fn a_page_of_an_answer_is_not_taken_for_all_of_it() {
    let page = format!(
        r#"{{"keys":["{}"],"total_count":3,"current_page":1,"total_pages":3}}"#,
        digest("a")
    );
    let found = imported(&page, None);
    assert_eq!((found.keys, found.left_out), (1, 1));
    assert!(
        reasons(&found)
            .join("")
            .contains("3 records, and 1 are here")
    );
}
