//! What an operator writes wrongly: exit code 2 and a sentence that names the thing and the way out. What is not there:
//! exit code 1. What is merely empty: exit code 0.

use std::path::{Path, PathBuf};

use tests::command::{command, run};
use tests::faulty::{Carried, OddProviders, plan};
use tests::{Rig, eventually, within};

/// The arguments, and words of the sentence.
const WRONG: &[(&str, &[&str])] = &[
    (
        "report chargeback --tz Mars/Olympus",
        &["Mars/Olympus", "Europe/Berlin"],
    ),
    ("report chargeback --tz", &["--tz"]),
    ("report chargeback --period 2026-13", &["2026-13"]),
    ("report chargeback --period tomorrow", &["tomorrow"]),
    (
        "report chargeback --period 2026-11-02/2026-11-01",
        &["2026-11-02/2026-11-01"],
    ),
    ("report chargeback --period 2026-02-30", &["2026-02-30"]),
    ("report chargeback --by colour", &["colour", "tenant"]),
    ("report chargeback --by tenant,tenant", &["tenant", "twice"]),
    ("report chargeback --format xml", &["xml", "csv"]),
    ("report chargeback --synthetic maybe", &["maybe", "only"]),
    ("report chargeback --prices nowhere.csv", &["nowhere.csv"]),
    ("report chargebacks", &["chargebacks"]),
    ("audit query --outcome lost", &["lost", "completed"]),
    ("audit query --since yesterday", &["yesterday", "2h"]),
    ("audit query --limit none", &["none"]),
    ("audit query --after nothing", &["nothing"]),
    ("audit query --label team", &["team", "NAME=VALUE"]),
    ("audit query --format yaml", &["yaml", "json"]),
    ("doctor --format yaml", &["yaml", "json"]),
];

#[tokio::test]
async fn what_is_written_wrongly_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let config = folder.path().join("tollgate.toml");
    std::fs::write(&config, "data_dir = \"data\"\n").expect("a file can be written");
    let mut faults = Vec::new();
    for (arguments, words) in WRONG {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let ended = run(&arguments, &config).await;
        faults.extend(
            ended
                .unlike(2, words)
                .map(|fault| format!("{arguments:?}: {fault}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(
        !folder.path().join("data").exists(),
        "what is refused has touched nothing"
    );
}

/// What stands in the file, words of the sentence.
const CONFIGURATIONS: &[(&str, &[&str])] = &[
    ("data_dir = \"data\"\n[gateway\n", &["tollgate.toml:2:"]),
    (
        "data_dir = \"data\"\ndata_dir = \"other\"\n",
        &["tollgate.toml:2:1", "duplicate key"],
    ),
    ("data_dir = 7\n", &["tollgate.toml:1:"]),
    (
        "data_dir = \"data\"\n[journal]\ncapacity_mib = 1024\nkeep_mib = 1000\n",
        &["tollgate.toml:4:1", "keep_mib = 1000", "768"],
    ),
    (
        "data_dir = \"data\"\n[journal]\ncapacity_mib = 256\nkeep_mib = 129\n",
        &["tollgate.toml:4:1", "keep_mib = 129", "128"],
    ),
    (
        "data_dir = \"data\"\n[journal]\nsegment_mib = 64\ncapacity_mib = 127\n",
        &["tollgate.toml:4:1", "capacity_mib = 127", "two segments"],
    ),
    (
        "data_dir = \"data\"\n[journal]\ncapacity_mib = 1024\nrefusals_mib = 257\n",
        &["tollgate.toml:4:1", "refusals_mib = 257", "256"],
    ),
    ("[gateway]\n", &["data_dir"]),
    (
        "data_dir = \"data\"\n\n[gateway]\nlisten_on = \"127.0.0.1:1\"\n",
        &["tollgate.toml:4:1", "listen_on"],
    ),
    (
        "data_dir = \"data\"\n[gateway]\nlisten = \"nowhere\"\n",
        &["tollgate.toml:3:"],
    ),
    (
        "data_dir = \"data\"\n[[routes]]\nmodel = \"a\"\ndeployment = \"gone\"\n",
        &["tollgate.toml:", "gone"],
    ),
    (
        "data_dir = \"data\"\n[[deployments]]\nid = \"d\"\nprovider = \"openai\"\nbase_url = \"ftp://x/v1\"\nauth = \"none\"\n",
        &["tollgate.toml:5:12", "base_url", "http://"],
    ),
    (
        "data_dir = \"data\"\n[[deployments]]\nid = \"d\"\nprovider = \"openai\"\nbase_url = \"http://x/v1\"\n",
        &["tollgate.toml:", "api_key_env"],
    ),
    (
        "data_dir = \"data\"\n[[deployments]]\nid = \"d\"\nprovider = \"openai\"\nbase_url = \"http://x/v1\"\napi_key_env = \"TOLLGATE_TEST_UNSET\"\n",
        &["tollgate.toml:", "TOLLGATE_TEST_UNSET"],
    ),
    (
        "data_dir = \"data\"\n[[tenants]]\nid = \"a\"\n[[tenants.projects]]\nid = \"p\"\nkeys = [{ id = \"k\", sha256 = \"tg-secret-itself\" }]\n",
        &["tollgate.toml:", "64 hex digits"],
    ),
    (
        "data_dir = \"data\"\n[[tenants]]\nid = \"a\"\ndurability = \"replicated\"\nprojects = []\n",
        &["tollgate.toml:", "replicated"],
    ),
    (
        "data_dir = \"data\"\n[[tenants]]\nid = \"a\"\nprojects = []\n[[tenants]]\nid = \"a\"\nprojects = []\n",
        &["tollgate.toml:", "`a`"],
    ),
];

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_its_line_and_never_with_its_secrets() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let config = folder.path().join("tollgate.toml");
    let mut faults = Vec::new();
    for (text, words) in CONFIGURATIONS {
        std::fs::write(&config, text).expect("a file can be written");
        let ended = run(&["up"], &config).await;
        faults.extend(
            ended
                .unlike(2, words)
                .map(|fault| format!("{text}\n{fault}")),
        );
        assert!(!ended.err.contains("tg-secret-itself"), "{}", ended.err);
    }
    let missing = run(&["up"], &folder.path().join("nowhere.toml")).await;
    faults.extend(missing.unlike(2, &["nowhere.toml", "--config"]));
    assert!(faults.is_empty(), "{}", faults.join("\n---\n"));
}

const PRICE_HEAD: &str = "provider,model,model_version,unit,service_tier,region_class,context_over,per,rate,currency,valid_from,source,read_on";

/// Lines of a price file, words of the sentence.
const PRICES: &[(&str, &[&str])] = &[
    (
        "openai,gpt-4o,,input_text,default,,,1000000,2.5e0,USD,,page,2026-11-24",
        &["prices.csv", "line 2", "rate"],
    ),
    (
        "openai,gpt-4o,,input_text,default,,,1000000,2.50,USD,,,2026-11-24",
        &["prices.csv", "line 2", "source"],
    ),
    (
        "openai,gpt-4o,,input_text,default,,,1000000,2.50,USD,,page,",
        &["prices.csv", "line 2", "read_on"],
    ),
    (
        "openai,gpt-4o,,input_text,default,,,500,2.50,USD,,page,2026-11-24",
        &["prices.csv", "line 2", "per"],
    ),
    (
        "openai,gpt-4o,,input_words,default,,,1000,2.50,USD,,page,2026-11-24",
        &["prices.csv", "line 2", "input_words"],
    ),
    (
        "openai,gpt-4o,,input_text,default,,,1000,-2.50,USD,,page,2026-11-24",
        &["prices.csv", "line 2", "rate"],
    ),
    (
        "openai,gpt-4o,,input_text,default,,,1000,2.50,usd,,page,2026-11-24",
        &["prices.csv", "line 2", "usd"],
    ),
    (
        "openai,gpt-4o,,input_text,default,,,1000000,2.50,USD,,page,2026-11-24\nopenai,gpt-4o,,input_text,default,,,1000000,2.60,USD,,page,2026-11-24",
        &["prices.csv", "line 3"],
    ),
    ("openai,gpt-4o", &["prices.csv"]),
];

#[tokio::test]
async fn a_wrong_price_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let (config, prices) = (
        folder.path().join("tollgate.toml"),
        folder.path().join("prices.csv"),
    );
    std::fs::write(&config, "data_dir = \"data\"\nprices = \"prices.csv\"\n")
        .expect("a file can be written");
    let mut faults = Vec::new();
    for (lines, words) in PRICES {
        std::fs::write(&prices, format!("{PRICE_HEAD}\n{lines}\n")).expect("a file can be written");
        let ended = run(&["report", "chargeback"], &config).await;
        faults.extend(
            ended
                .unlike(2, words)
                .map(|fault| format!("{lines}\n{fault}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n---\n"));
}

#[tokio::test]
async fn what_is_empty_is_no_error_and_a_bad_reload_leaves_the_old_in_force() {
    let carried = Carried::default();
    let odd = OddProviders::start("odd").await;
    let rig = Rig::start(plan(&carried, &odd, "auth = \"none\"")).await;
    rig.settled().await;
    for format in ["table", "csv", "json"] {
        let report = run(
            &[
                "report",
                "chargeback",
                "--period",
                "2001-01",
                "--format",
                format,
            ],
            &rig.config(),
        )
        .await;
        assert_eq!(report.code, Some(0), "{report:?}");
        assert!(!report.out.is_empty(), "an empty period is said");
        let page = run(
            &["audit", "query", "--tenant", "nobody", "--format", format],
            &rig.config(),
        )
        .await;
        assert_eq!(page.code, Some(0), "{page:?}");
    }
    let good = std::fs::read_to_string(rig.config()).expect("a configuration can be read");
    std::fs::write(
        rig.config(),
        format!("{good}\n[[routes]]\nmodel = \"x\"\ndeployment = \"gone\"\n"),
    )
    .expect("a file can be written");
    eventually("the refusal is said with its line", async || {
        let log = rig.log();
        let line = log
            .lines()
            .find(|line| line.contains("new configuration refused"))?;
        assert!(
            line.contains("tollgate.toml:") && line.contains("gone"),
            "{line}"
        );
        Some(())
    })
    .await;
    let answer = rig
        .http()
        .get(rig.url("/v1/models"))
        .bearer_auth(&carried.secret)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200, "the old one serves on");
    let metrics = rig
        .http()
        .get(rig.ops_url("/metrics"))
        .send()
        .await
        .expect("metrics");
    let metrics = metrics.text().await.expect("a text");
    assert!(
        metrics
            .lines()
            .any(|line| line == "tollgate_refused_reloads_total 1"),
        "{metrics}"
    );
}

/// The processes that a process has started.
fn children(pid: u32) -> Vec<i32> {
    let listed =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

fn config_in(folder: &Path, text: &str) -> PathBuf {
    let config = folder.join("tollgate.toml");
    std::fs::write(&config, text).expect("a file can be written");
    config
}

#[tokio::test]
async fn an_engine_that_is_missing_or_dies_under_a_report_is_said_with_exit_code_1() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let config = config_in(
        folder.path(),
        "data_dir = \"data\"\n[engine]\nlibrary = \"/nowhere/libchdb.so\"\n",
    );
    for arguments in [
        &["report", "chargeback"][..],
        &["audit", "query"],
        &["migrate"],
    ] {
        let ended = run(arguments, &config).await;
        assert_eq!(
            ended.unlike(1, &["/nowhere/libchdb.so"]),
            None,
            "{arguments:?}"
        );
    }
    let config = config_in(folder.path(), "data_dir = \"data\"\n");
    let report = command(&["report", "chargeback"], &config)
        .spawn()
        .expect("the program under test starts");
    let pid = report.id().expect("it runs");
    // The engine's process is killed as soon as there is one, whatever it has come to.
    let killed = async {
        loop {
            if let Some(engine) = children(pid).first() {
                let engine =
                    rustix::process::Pid::from_raw(*engine).expect("a process number is positive");
                // It may be gone by itself already.
                rustix::process::kill_process(engine, rustix::process::Signal::KILL).ok();
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    within("the report's engine starts", killed).await;
    let ended = within("the report ends", report.wait_with_output())
        .await
        .expect("it ended");
    assert_eq!(
        tests::command::Ended::from(ended).unlike(1, &["engine"]),
        None
    );
}
