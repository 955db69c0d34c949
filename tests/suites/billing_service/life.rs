//! A service's life: ready, without a store, with other prices and other readers, and its end; and what its log says of all
//! that.

use rustix::process::Signal;
use serde_json::Value;
use tests::command::run;
use tests::eventually;

use crate::stand::{ACME, FINANCE, Service, Stand};

const REPORT: &str = "/v1/chargeback?by=tenant,model";

async fn is_ready(service: &Service) -> Option<i32> {
    run(&["ready", "--of", "billing"], &service.config)
        .await
        .code
}

#[tokio::test(flavor = "multi_thread")]
async fn it_outlives_the_store_and_takes_prices_and_readers_while_it_runs() {
    let mut stand = Stand::start().await;
    let folder = tempfile::tempdir().expect("a scratch directory");
    let mut service = Service::start(folder.path(), &stand.stack.data_dir());
    service.api.ready().await;
    assert_eq!(is_ready(&service).await, Some(0));
    let report = service.api.good(FINANCE, REPORT).await;
    let doctor = run(&["doctor", "--format", "json"], &service.config).await;
    assert!(doctor.out.contains("billing.listen") && doctor.out.contains("2 readers"));

    // An engine that starts again is somewhere else, and is found.
    stand.stack.kill_engine().await;
    eventually("the report is back", async || {
        let answer = service.api.get(FINANCE, REPORT).await;
        match answer.status {
            503 => assert!(!answer.header("retry-after").is_empty()),
            200 => {
                assert_eq!(answer.body, report);
                return Some(());
            }
            other => panic!("{other}: {}", answer.body),
        }
        None
    })
    .await;

    take_prices(&service, &report).await;
    take_readers(&service).await;

    stand.stack.terminate().await;
    eventually("the store is away", async || {
        let answer = service.api.get(FINANCE, REPORT).await;
        (answer.error_code() == "store_unavailable").then_some(())
    })
    .await;
    assert_eq!(is_ready(&service).await, Some(1));
    assert_eq!(
        service.api.ops("/livez").await.map(|(status, _)| status),
        Some(200)
    );

    let (_, metrics) = service.api.ops("/metrics").await.expect("metrics");
    for counted in [
        "tollgate_billing_answers_total{endpoint=\"chargeback\",result=\"store_unavailable\"}",
        "tollgate_billing_reloads_total{what=\"prices\",result=\"refused\"} 1",
        "tollgate_billing_reloads_total{what=\"readers\",result=\"taken\"}",
        "tollgate_billing_answer_seconds_bucket",
    ] {
        assert!(metrics.contains(counted), "{counted}: {metrics}");
    }
    service.signal(Signal::TERM);
    assert_eq!(service.end().await, Some(0));
    assert!(service.api.try_get(FINANCE, REPORT).await.is_none());
    let log = service.log();
    assert!(
        log.contains("reader=\"finance\"") && log.contains("stopped"),
        "{log}"
    );
    for secret in [FINANCE, ACME, "tg-wrong-token", "Bearer"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    let left = std::fs::read_dir(folder.path().join("spool")).expect("a folder");
    assert_eq!(left.count(), 0, "exports that were being made");
}

/// Every price doubled, then a file that is wrong.
async fn take_prices(service: &Service, before: &str) {
    let text = std::fs::read_to_string(&service.prices).expect("a price book");
    let only_dear = |line: &str| line.replace(",0.15,", ",0.30,");
    let changed: Vec<_> = text.lines().map(only_dear).collect();
    std::fs::write(&service.prices, changed.join("\n") + "\n").expect("a file");
    let changed = eventually("the new prices are in force", async || {
        let report = service.api.good(FINANCE, REPORT).await;
        let version = |text: &str| {
            let json: Value = serde_json::from_str(text).expect("JSON");
            json["price_version"].to_string()
        };
        (version(&report) != version(before)).then_some(report)
    })
    .await;
    std::fs::write(&service.prices, "nonsense\n").expect("a file");
    eventually("the wrong file is refused", async || {
        let (_, metrics) = service.api.ops("/metrics").await?;
        metrics
            .contains("what=\"prices\",result=\"refused\"")
            .then_some(())
    })
    .await;
    assert_eq!(service.api.good(FINANCE, REPORT).await, changed);
}

/// A reader that is taken out of the file is nobody within a moment; the others notice nothing.
async fn take_readers(service: &Service) {
    assert_eq!(service.api.get("tg-wrong-token", REPORT).await.status, 401);
    service.api.good(ACME, REPORT).await;
    let text = std::fs::read_to_string(&service.config).expect("a file");
    let at = text.rfind("[[billing.readers]]").expect("two readers");
    std::fs::write(&service.config, &text[..at]).expect("a file");
    eventually("the reader is nobody", async || {
        service.api.good(FINANCE, "/v1/reader").await;
        let answer = service.api.get(ACME, REPORT).await;
        (answer.status == 401).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_be_says_why() {
    let folder = tempfile::tempdir().expect("a scratch directory");
    let config = folder.path().join("tollgate.toml");
    let reader = "[[billing.readers]]\nname = \"finance\"\ntenants = \"all\"\nmay = [\"reports\"]\nsecret_sha256 = \"tg-pasted-secret\"\n";
    for (text, code, words) in [
        ("", 2, "[billing]"),
        (
            "[billing]\nlisten = \"127.0.0.1:0\"\nlissten = 1\n",
            2,
            "tollgate.toml:4",
        ),
        (
            &format!("[billing]\nlisten = \"127.0.0.1:0\"\n{reader}"),
            2,
            "tollgate key new finance",
        ),
        (
            "prices = \"none.csv\"\n[billing]\nlisten = \"127.0.0.1:0\"\n",
            2,
            "none.csv",
        ),
        ("[billing]\nlisten = \"192.0.2.1:1\"\n", 1, "billing.listen"),
    ] {
        std::fs::write(&config, format!("data_dir = \"data\"\n{text}")).expect("a file");
        let ended = run(&["billing"], &config).await;
        assert_eq!(ended.unlike(code, &[words]), None);
        assert!(!ended.err.contains("tg-pasted-secret"), "{}", ended.err);
    }
    let help = tests::command::command(&["billing", "--help"], &config)
        .output()
        .await;
    let help = String::from_utf8_lossy(&help.expect("it starts").stdout).into_owned();
    assert!(help.contains("/v1/chargeback?period=") && help.contains("[[billing.readers]]"));
}
