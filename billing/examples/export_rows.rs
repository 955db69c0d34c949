//! How fast a trail is exported: a million priced records in an engine of their own, written in each format and read back.
//!
//! `cargo run --release -p billing --example export_rows [RECORDS]`

use std::path::Path;
use std::time::{Duration, Instant};

use billing::Period;
use billing::chargeback::{Dimension, Request, Synthetic};
use billing::export::{Export, ExportFormat, Kind, Target, export, verify};
use schemas::PriceBook;
use store::User;
use store::engine::{Started, serve};
use store::migrate::migrate;
use store::supervisor::{Options, Supervisor};

type Failure = Box<dyn std::error::Error>;

/// What tells the process that it is the engine.
const ENGINE: &str = "--engine";
const RECORDS: u64 = 1_000_000;
const PRICES: &str = "\
provider,model,unit,service_tier,context_over,per,rate,currency,valid_from,source,read_on
openai,m,input_text,default,,1000000,2.50,USD,,a page,2026-11-24
openai,m,input_text,default,272000,1000000,5,USD,,a page,2026-11-24
openai,m,input_cached,default,,1000000,1.25,USD,,a page,2026-11-24
openai,m,output_text,default,,1000000,10,USD,,a page,2026-11-24
openai,m,output_text,default,,1000000,9,USD,2026-11-16,a page,2026-11-24
";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.as_slice() {
        [first, folder] if first == ENGINE => Ok(serve(store::engine::Options {
            data_dir: folder.into(),
            library: None,
            started: Started::ByParent,
            port: 0,
        })
        .await?),
        [] => measure(RECORDS).await,
        [records] => measure(records.parse()?).await,
        _ => Err("usage: export_rows [RECORDS]".into()),
    }
}

async fn measure(records: u64) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let engine = Supervisor::start(Options {
        data_dir: folder.path().to_owned(),
        library: None,
        program: std::env::current_exe()?,
        args: vec![ENGINE.into(), folder.path().into()],
    })?;
    engine.ready(Duration::from_mins(1)).await?;
    let writer = engine.client(User::Writer, "tollgate");
    migrate(&writer, schemas::migrations::ALL).await?;
    let filling = writer.statement(&fill(records));
    filling.timeout(Duration::from_mins(10)).execute().await?;

    let rows = billing::prices::parse_csv(PRICES).map_err(|_| "the prices are wrong")?;
    let book = PriceBook::new(&rows).map_err(|_| "the prices are wrong")?;
    let request = Request {
        period: Period::parse("2026-11", billing::period::zone("UTC")?)?,
        by: Dimension::parse_list("tenant,project,model")?,
        synthetic: Synthetic::Exclude,
        tenant: None,
    };
    let files = tempfile::tempdir()?;
    for format in [ExportFormat::Csv, ExportFormat::Json, ExportFormat::Parquet] {
        let path = files.path().join("trail");
        let wanted = Export {
            kind: Kind::Trail,
            format,
            target: &Target::File(path.clone()),
            request: &request,
        };
        let began = Instant::now();
        let reader = engine.client(User::Reader, "tollgate");
        let manifest = export(&reader, &book, &wanted, &mut |_| {}).await?;
        let exported = began.elapsed();
        print_line(
            &format!("{format:?}"),
            manifest.records,
            manifest.bytes,
            exported,
        );
        check(&path, manifest.records)?;
    }
    println!("peak memory of this process: {} MiB", peak_kib()? / 1_024);
    engine.stop().await;
    Ok(())
}

fn check(path: &Path, records: u64) -> Result<(), Failure> {
    let began = Instant::now();
    let bytes = verify(path)?.manifest.bytes;
    print_line("  read back", records, bytes, began.elapsed());
    Ok(())
}

fn print_line(what: &str, records: u64, bytes: u64, time: Duration) {
    let a_second = u128::from(records) * 1_000 / time.as_millis().max(1);
    println!(
        "{what:<12} {records} records in {:.1} s: {a_second} records/s, {} MiB",
        time.as_secs_f64(),
        bytes >> 20
    );
}

fn peak_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("this system tells no peak")?.parse()?)
}

/// Records as gateways write them: 200 tenants, 30 days, five labels, some refused, some lost; in four parts, so that
/// the store has something to merge.
fn fill(records: u64) -> String {
    format!(
        "INSERT INTO usage_events (topic, offset, version, event_id, request_id, producer, boot, producer_seq, tenant, project, key_id, \
         auth_method, labels, api, stream, model_requested, model_served, route, deployment, provider, region, capacity, \
         received, completed, usage_source, usage_quality, billable, outcome, status, finish_reason, attempt_deployments, \
         estimated_units, config_digest, count, model, service_tier, input_text, input_cached, output_text) \
         SELECT 'journal:p', number, 1, generateUUIDv7(number), concat('req_', lower(hex(sipHash128(number)))), 'gateway-1', '7-0123456789abcdef', \
         number, concat('tenant-', toString(number % 200)), concat('project-', toString(number % 7)), concat('key-', toString(number % 1000)), 'key', \
         map('team', concat('team-', toString(number % 50)), 'app', 'search', 'user', lower(hex(sipHash64(number))), 'session', lower(hex(sipHash64(number, 1))), 'stage', 'prod'), \
         'chat', number % 2, 'm', 'm-2026-01-01', 'default', 'east-1', 'openai', 'eastus', 'paygo', \
         toDateTime64('2026-11-01 00:00:00', 6, 'UTC') + (number * 7919 % 2592000), \
         toDateTime64('2026-11-01 00:00:01', 6, 'UTC') + (number * 7919 % 2592000), \
         if(number % 50 < 2, 'none', 'provider'), 'ok', if(number % 50 = 0, 'no', 'yes'), \
         multiIf(number % 50 = 0, 'refused_limit', number % 50 = 1, 'unknown', 'completed'), 200, 'stop', ['east-1'], \
         map('input_text', 900, 'output_text', 4096), 'cd', 1, if(number % 50 < 2, NULL, 'm'), NULL, \
         if(number % 50 < 2, NULL, number * 31 % 300000), if(number % 50 < 2, NULL, number % 700), if(number % 50 < 2, NULL, number % 900) \
         FROM numbers({records})"
    )
}
