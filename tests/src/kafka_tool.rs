//! Kafka's own programs, from its published jars on this machine's Java. No broker of ours lives here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// What Kafka's own console consumer prints of so many records of a topic, each a line: place, headers, key and value, with tabs
/// between.
///
/// # Panics
/// If the records do not come.
pub fn by_console_consumer(servers: &str, topic: &str, records: usize) -> String {
    let (records, timeout_ms) = (records.to_string(), crate::DEADLINE.as_millis().to_string());
    let mut arguments = vec!["--bootstrap-server", servers, "--topic", topic];
    arguments.extend(["--from-beginning", "--max-messages", &records]);
    arguments.extend(["--timeout-ms", &timeout_ms]);
    let printed = ["partition", "offset", "headers", "key"].map(|of| format!("print.{of}=true"));
    for property in &printed {
        arguments.extend(["--formatter-property", property]);
    }
    kafka_tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        &arguments,
    )
}

/// What one of Kafka's own programs prints.
///
/// # Panics
/// If it fails.
pub fn kafka_tool(class: &str, arguments: &[&str]) -> String {
    let output = java().arg(class).args(arguments).output();
    let output = output.expect("Java starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("what is printed is text")
}

/// Java with Kafka's jars, quick to start.
pub(crate) fn java() -> Command {
    let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
    let program = home.map_or_else(|| "java".into(), |home| Path::new(&home).join("bin/java"));
    let mut command = Command::new(program);
    command
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(jars().join("*"))
        .stdin(Stdio::null());
    command
}

/// Where the jars are: installed by `scripts/kafka.sh`, once.
fn jars() -> &'static Path {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/kafka.sh");
        let output = Command::new(script).stderr(Stdio::inherit()).output();
        let output = output.expect("a shell runs");
        assert!(output.status.success(), "there is no Kafka: see above");
        PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
    })
}
