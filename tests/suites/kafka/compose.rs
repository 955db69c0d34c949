//! The compose file and the image, as far as they can be judged without a container engine: by the Compose schema, and against
//! the binary: every command, port, file and key that they name is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::Digest as _;
use tests::{Broker, Serving, free_address, kafka_tool, listens, tollgate};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Variables that the image of ClickHouse's server reads.
/// Source: ClickHouse/ClickHouse, `docker/server/entrypoint.sh`.
const OF_CLICKHOUSE: &[&str] = &[
    "CLICKHOUSE_ALWAYS_RUN_INITDB_SCRIPTS",
    "CLICKHOUSE_CONFIG",
    "CLICKHOUSE_DB",
    "CLICKHOUSE_DEFAULT_ACCESS_MANAGEMENT",
    "CLICKHOUSE_DO_NOT_CHOWN",
    "CLICKHOUSE_GID",
    "CLICKHOUSE_INIT_TIMEOUT",
    "CLICKHOUSE_PASSWORD",
    "CLICKHOUSE_UID",
    "CLICKHOUSE_USER",
    "CLICKHOUSE_WATCHDOG_ENABLE",
];
/// What Kafka's image reads beside settings of the broker, of which it makes names that begin with `KAFKA_`.
/// Source: apache/kafka, `docker/resources/common-scripts/configure`.
const OF_KAFKA: &[&str] = &["CLUSTER_ID"];

fn read(path: &str) -> String {
    let path = format!("{ROOT}/{path}");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn compose() -> Value {
    serde_saphyr::from_str(&read("docker-compose.yml")).expect("YAML")
}

fn words(list: &Value) -> Vec<String> {
    let list = list.as_array().expect("a list");
    let text = |word: &Value| word.as_str().expect("a text").to_owned();
    list.iter().map(text).collect()
}

/// Services that run our image, with their names.
fn ours(compose: &Value) -> Vec<(&String, &Value)> {
    let services = compose["services"].as_object().expect("services");
    let ours = services.iter().filter(|(_, service)| {
        let image = service["image"].as_str().expect("an image");
        image.starts_with("tollgate:")
    });
    ours.collect()
}

/// A configuration that services of ours run with.
fn configuration(compose: &Value, name: &str) -> String {
    let content = compose["configs"][name]["content"].as_str();
    content.expect("a configuration").to_owned()
}

/// Whether the program knows these arguments: it would say so with exit code 2 before it does anything.
fn is_known(arguments: &[String]) {
    let mut asked: Vec<&str> = arguments.iter().map(String::as_str).collect();
    asked.push("--help");
    let output = Command::new(tollgate()).args(&asked).output();
    let output = output.expect("the program under test starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "tollgate {arguments:?}: {said}");
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for flag in arguments.iter().filter(|word| word.starts_with("--")) {
        assert!(
            help.contains(flag.as_str()),
            "{flag} is not in the help of {arguments:?}"
        );
    }
}

#[test]
fn the_compose_file_satisfies_the_compose_schema() {
    let schema: Value =
        serde_json::from_str(&read("tests/compose/compose-spec.json")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let compose = compose();
    let errors: Vec<String> = validator
        .iter_errors(&compose)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(errors, [""; 0]);
    let mut wrong = compose.clone();
    wrong["services"]["kafka"]["imagine"] = Value::from(1);
    assert!(!validator.is_valid(&wrong), "the schema tells a wrong file");
}

#[test]
fn every_image_is_pinned_and_every_reference_leads_somewhere() {
    let compose = compose();
    let names = |key: &str| -> BTreeSet<String> {
        let section = compose[key].as_object().expect("a section");
        section.keys().cloned().collect()
    };
    let (services, volumes, configs) = (names("services"), names("volumes"), names("configs"));
    for (name, service) in compose["services"].as_object().expect("services") {
        let image = service["image"].as_str().expect("an image");
        let tag = image.rsplit_once(':').map(|(_, tag)| tag);
        let is_pinned = tag.is_some_and(|tag| tag.starts_with(|c: char| c.is_ascii_digit()));
        assert!(is_pinned, "{name}: {image} is not pinned to a version");
        if let Some(needed) = service["depends_on"].as_object() {
            needed
                .keys()
                .for_each(|needed| assert!(services.contains(needed), "{name}: {needed}"));
        }
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let volume = volume.as_str().expect("short form");
            let volume = volume.split(':').next().expect("a name");
            assert!(volumes.contains(volume), "{name}: {volume}");
        }
        for config in service["configs"].as_array().into_iter().flatten() {
            let source = config["source"].as_str().expect("a source");
            assert!(configs.contains(source), "{name}: {source}");
        }
    }
}

#[test]
fn every_command_and_health_check_of_ours_exists() {
    let compose = compose();
    let ours = ours(&compose);
    let of = |command: &str| {
        let mut ours = ours.iter().map(|(_, service)| &service["command"][0]);
        ours.by_ref().filter(|first| *first == command).count()
    };
    let numbers = ["simulate", "gateway", "consumer", "billing"].map(of);
    assert_eq!(numbers, [1, 2, 2, 1]);
    let version = format!("tollgate:{}", env!("CARGO_PKG_VERSION"));
    for (name, service) in &ours {
        assert_eq!(service["image"], version.as_str(), "{name}");
        is_known(&words(&service["command"]));
        let check = words(&service["healthcheck"]["test"]);
        assert_eq!(check[..2], ["CMD", "tollgate"], "{name}");
        is_known(&check[2..]);
    }
}

/// Whoever waits for a service waits for its health check, and has one to wait for.
#[test]
fn every_service_has_a_health_check_and_is_waited_for_by_it() {
    let compose = compose();
    let services = compose["services"].as_object().expect("services");
    for (name, service) in services {
        let check = words(&service["healthcheck"]["test"]);
        assert_eq!(check[0], "CMD", "{name}");
        assert_ne!(service["healthcheck"]["disable"], true, "{name}");
        for (needed, how) in service["depends_on"].as_object().into_iter().flatten() {
            assert_eq!(how["condition"], "service_healthy", "{name}: {needed}");
        }
    }
}

/// An image passes over a variable that it does not know.
#[test]
fn every_variable_of_the_servers_is_one_that_their_image_reads() {
    let compose = compose();
    for (service, known, prefix) in [
        ("clickhouse", OF_CLICKHOUSE, None),
        // What has the prefix is held against Kafka itself.
        ("kafka", OF_KAFKA, Some("KAFKA_")),
    ] {
        let variables = compose["services"][service]["environment"].as_object();
        for name in variables.expect("variables").keys() {
            let is_setting = prefix.is_some_and(|prefix| name.starts_with(prefix));
            assert!(
                is_setting || known.contains(&name.as_str()),
                "{service}: {name}"
            );
        }
    }
}

/// The simulator is ready by its health check once it listens, and not before.
#[tokio::test(flavor = "multi_thread")]
async fn the_simulators_health_check_is_answered_by_the_simulator() {
    let compose = compose();
    let simulator = &compose["services"]["simulator"];
    let (command, check) = (
        words(&simulator["command"]),
        words(&simulator["healthcheck"]["test"]),
    );
    let (inside, asked) = ("0.0.0.0:8090", "127.0.0.1:8090");
    assert!(command.iter().any(|word| word == inside), "{command:?}");
    assert!(check.iter().any(|word| word == asked), "{check:?}");
    let address = free_address();
    let here = |words: &[String]| -> Vec<String> {
        let at = address.to_string();
        let words = words.iter();
        words
            .map(|word| word.replace(inside, &at).replace(asked, &at))
            .collect()
    };
    let ready = || {
        let asking = Command::new(tollgate()).args(here(&check[2..])).output();
        asking.expect("the program under test starts").status.code()
    };
    assert_eq!(ready(), Some(1), "nobody listens yet");
    let folder = tempfile::tempdir().expect("a scratch directory");
    let mut simulating = Command::new(tollgate());
    simulating.args(here(&command));
    let _serving = Serving::run(simulating, &folder.path().join("simulator.log"), None);
    listens(address).await;
    assert_eq!(ready(), Some(0));
}

/// The gateways' file is taken by the binary, and what it names is what the services have.
#[test]
fn the_gateways_configuration_is_taken_and_its_ports_are_published() {
    let compose = compose();
    let text = configuration(&compose, "gateway");
    let file: toml::Table = text.parse().expect("TOML");
    let port = |setting: &str| {
        let address = file["gateway"][setting].as_str().expect("an address");
        address.rsplit(':').next().expect("a port").to_owned()
    };
    let (app, ops) = (port("listen"), port("ops_listen"));
    let gateways: Vec<(&String, &Value)> = ours(&compose)
        .into_iter()
        .filter(|(_, service)| service["command"][0] == "gateway")
        .collect();
    assert_eq!(gateways.len(), 2);
    let mut published = BTreeSet::new();
    for (name, service) in gateways {
        let ports = words(&service["ports"]);
        let inside = ports[0].rsplit(':').next();
        assert_eq!(inside, Some(app.as_str()), "{name}");
        assert!(
            published.insert(ports[0].clone()),
            "{name}: the port is taken"
        );
        let target = service["configs"][0]["target"].as_str().expect("a target");
        assert!(
            words(&service["command"]).iter().any(|word| word == target),
            "{name}"
        );
        let data_dir = file["data_dir"].as_str().expect("a folder");
        let volume = words(&service["volumes"])[0].clone();
        assert!(volume.ends_with(data_dir), "{name}: {volume}");
    }
    let kafka = file["log"]["kafka"]["bootstrap"].as_str().expect("brokers");
    let advertised =
        compose["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].as_str();
    assert!(advertised.expect("listeners").ends_with(kafka));
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains(&format!("EXPOSE {app} {ops}")));

    // A whole start would need the brokers; a start that fails at its port has taken everything before it.
    let folder = tempfile::tempdir().expect("a scratch directory");
    let taken = std::net::TcpListener::bind(free_address()).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let data = folder.path().join("data").display().to_string();
    let text = text
        .replace(&format!("0.0.0.0:{app}"), &address)
        .replace("/var/lib/tollgate", &data);
    let config = folder.path().join("tollgate.toml");
    std::fs::write(&config, text).expect("a file can be written");
    let output = Command::new(tollgate())
        .arg("gateway")
        .arg("--config")
        .arg(&config)
        .output();
    let said = String::from_utf8_lossy(&output.expect("it starts").stderr).into_owned();
    assert!(said.contains("cannot listen on"), "{said}");
}

/// What consumers and billing run with is taken too: each gets as far as its door, which is taken. The secret that it names is in
/// the service's environment, and the store that it names is a service whose user and password are the same.
#[test]
fn the_configuration_of_consumers_and_billing_is_taken_and_leads_to_the_store() {
    let compose = compose();
    let text = configuration(&compose, "back");
    let file: toml::Table = text.parse().expect("TOML");
    let store = &file["store"];
    let variable = store["password_env"].as_str().expect("a variable");
    let server = &compose["services"]["clickhouse"]["environment"];
    assert_eq!(store["url"].as_str(), Some("http://clickhouse:8123"));
    assert_eq!(store["user"].as_str(), server["CLICKHOUSE_USER"].as_str());
    assert_eq!(server["CLICKHOUSE_DB"], store::DATABASE);
    let behind = ours(&compose);
    let behind = behind.iter().filter(|(_, service)| {
        let command = &service["command"][0];
        command == "consumer" || command == "billing"
    });
    for (name, service) in behind {
        let given = &service["environment"][variable];
        assert_eq!(*given, server["CLICKHOUSE_PASSWORD"], "{name}");
        let volume = words(&service["volumes"])[0].clone();
        assert!(volume.ends_with("/var/lib/tollgate"), "{name}: {volume}");
    }
    let kafka = file["log"]["kafka"]["bootstrap"].as_str();
    let gateways: toml::Table = configuration(&compose, "gateway").parse().expect("TOML");
    assert_eq!(kafka, gateways["log"]["kafka"]["bootstrap"].as_str());
    let folder = tempfile::tempdir().expect("a scratch directory");
    let taken = std::net::TcpListener::bind(free_address()).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let data = folder.path().join("data").display().to_string();
    for (command, door) in [("consumer", "0.0.0.0:8081"), ("billing", "0.0.0.0:8085")] {
        assert!(text.contains(door), "{door}");
        let text = text.replace(door, &address);
        let text = text.replace("/etc/tollgate/prices.csv", &format!("{ROOT}/prices.csv"));
        let text = text.replace("/var/lib/tollgate", &data);
        let config = folder.path().join(format!("{command}.toml"));
        std::fs::write(&config, text).expect("a file can be written");
        let output = Command::new(tollgate())
            .args([command, "--config"])
            .arg(&config)
            .env(variable, "secret")
            .output();
        let said = String::from_utf8_lossy(&output.expect("it starts").stderr).into_owned();
        assert!(said.contains("cannot listen on"), "{command}: {said}");
    }
}

/// The image makes the setting `a.b` of `KAFKA_A_B`: Kafka itself says which ones it has. Its health check stands for a program of
/// it, which a real broker answers.
#[tokio::test(flavor = "multi_thread")]
async fn the_brokers_settings_and_its_health_check_are_kafkas_own() {
    let compose = compose();
    let broker = &compose["services"]["kafka"];
    let known = kafka_tool("kafka.server.KafkaConfig", &[]);
    let names = broker["environment"].as_object().expect("variables");
    let settings = names.keys().filter_map(|name| name.strip_prefix("KAFKA_"));
    let settings: Vec<String> = settings
        .map(|name| name.to_lowercase().replace('_', "."))
        .collect();
    assert!(settings.len() > 10, "{settings:?}");
    for setting in settings {
        assert!(known.contains(&format!("id=\"{setting}\"")), "{setting}");
    }
    let check = words(&broker["healthcheck"]["test"]);
    let (script, flag, asked) = (&check[1], &check[2], &check[3]);
    let (_, port) = asked.split_once(':').expect("a port");
    let listeners = broker["environment"]["KAFKA_LISTENERS"].as_str();
    let mut listeners = listeners.expect("listeners").split(',');
    assert!(
        listeners.any(|at| at.starts_with("APPS://") && at.ends_with(&format!(":{port}"))),
        "{asked}"
    );
    // A script of Kafka's is named after the class that it runs: where there is no such class, there is no such script.
    let name = script.strip_prefix("/opt/kafka/bin/kafka-");
    let name = name.and_then(|name| name.strip_suffix(".sh"));
    let parts = name.expect("a script of Kafka").split('-');
    let of_words: String = parts.map(upper).collect();
    let class = format!("org.apache.kafka.tools.{of_words}Command");
    let real = Broker::start().await;
    let (servers, flag) = (real.servers().to_owned(), flag.clone());
    let asking = tokio::task::spawn_blocking(move || kafka_tool(&class, &[&flag, &servers]));
    let answer = asking.await.expect("no panic");
    assert!(answer.contains("Produce(0)"), "{answer}");
}

/// A word with a capital letter.
fn upper(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// Who is published where, and the credentials that the file's first lines show.
#[test]
fn ports_lead_to_doors_and_shown_credentials_open_them() {
    let compose = compose();
    let service = |name: &str| &compose["services"][name];
    let back: toml::Table = configuration(&compose, "back").parse().expect("TOML");
    let gateway: toml::Table = configuration(&compose, "gateway").parse().expect("TOML");
    let port = |address: &toml::Value| {
        let address = address.as_str().expect("an address").to_owned();
        let port = address.rsplit(':').next().expect("a port").to_owned();
        port.split('/').next().expect("a port").to_owned()
    };
    let published = words(&service("billing")["ports"])[0].clone();
    assert!(published.ends_with(&format!(":{}", port(&back["billing"]["listen"]))));
    let simulator = words(&service("simulator")["command"]).join(" ");
    let asked = port(&gateway["deployments"][0]["base_url"]);
    assert!(simulator.contains(&format!(":{asked} ")), "{simulator}");
    let text = read("docker-compose.yml");
    let shown = text.lines().filter_map(|line| line.split("Bearer ").nth(1));
    let shown: Vec<&str> = shown.filter_map(|rest| rest.split('\'').next()).collect();
    assert_eq!(shown.len(), 2);
    for credential in shown {
        let digest = hex::encode(sha2::Sha256::digest(credential));
        assert!(text.contains(&format!("\"{digest}\"")), "{credential}");
    }
}

/// What the program has in it at compile time is in what the image is built of.
#[test]
fn nothing_that_is_built_in_is_left_out_of_the_image() {
    let ignored = read(".dockerignore");
    let ignored: Vec<&str> = ignored
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    assert!(ignored.contains(&"target"));
    let mut included = 0;
    let mut folders: Vec<PathBuf> = ["src", "schemas", "gateway", "billing", "simulator"]
        .map(|folder| Path::new(ROOT).join(folder))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for rest in text.split("include_str!(\"").skip(1) {
                let name = rest.split('"').next().expect("a name");
                let file = path.with_file_name(name).canonicalize().expect(name);
                let root = Path::new(ROOT).canonicalize().expect("the root");
                let file = file.strip_prefix(root).expect("a file of the tree");
                let top = file.components().next().expect("a part");
                let top = top.as_os_str().to_str().expect("a name");
                assert!(!ignored.contains(&top), "{}", file.display());
                included += 1;
            }
        }
    }
    assert!(included > 8);
}

/// The servers are of the versions that the tests run against.
#[test]
fn the_servers_are_those_that_the_tests_know() {
    let compose = compose();
    let tag = |service: &str| {
        let image = compose["services"][service]["image"].as_str();
        let (_, tag) = image.expect("an image").rsplit_once(':').expect("a tag");
        tag.to_owned()
    };
    let engine = store::engine::ENGINE_VERSION;
    assert!(
        engine.starts_with(&format!("{}.", tag("clickhouse"))),
        "{engine}"
    );
    let jars = read("scripts/kafka.jars");
    let broker = format!("kafka_2.13-{}.jar", tag("kafka"));
    let broker_by_path = format!("kafka_2.13/{}/", tag("kafka"));
    assert!(
        jars.contains(&broker) || jars.contains(&broker_by_path),
        "{broker}"
    );
}

#[test]
fn the_image_is_made_as_the_binary_needs_it() {
    let dockerfile = read("Dockerfile");
    let last = |instruction: &str| {
        let mut lines = dockerfile
            .lines()
            .filter_map(|line| line.strip_prefix(instruction));
        lines
            .next_back()
            .unwrap_or_else(|| panic!("no {instruction}"))
            .trim()
            .to_owned()
    };
    let parsed = |text: &str| words(&serde_json::from_str(text).expect("a list"));
    assert_eq!(parsed(&last("ENTRYPOINT")), ["tollgate"]);
    is_known(&parsed(&last("CMD")));
    let health = last("HEALTHCHECK");
    let health = parsed(&health[health.find('[').expect("a list")..]);
    assert_eq!(health[0], "tollgate");
    is_known(&health[1..]);
    assert_ne!(last("USER"), "0:0");
    let manifest: toml::Table = read("Cargo.toml").parse().expect("TOML");
    let rust = manifest["workspace"]["package"]["rust-version"]
        .as_str()
        .expect("a version");
    assert!(
        dockerfile.contains(&format!("FROM rust:{rust}-")),
        "the Rust of Cargo.toml"
    );
    let variable = last("ENV");
    let variable = variable.split('=').next().expect("a name");
    let help = Command::new(tollgate())
        .args(["gateway", "--help"])
        .output();
    let help = String::from_utf8_lossy(&help.expect("it starts").stdout).into_owned();
    assert!(help.contains(variable), "{variable}");
}
