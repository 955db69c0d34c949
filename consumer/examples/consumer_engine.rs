//! The engine's process alone, for this crate's tests and measurements: the same call that the product's command line makes.

use store::engine::{Options, Started, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let data_dir = std::env::args_os()
        .nth(1)
        .ok_or_else(|| anyhow::anyhow!("usage: consumer_engine DATA_DIR"))?;
    let options = Options {
        data_dir: data_dir.into(),
        library: None,
        started: Started::ByParent,
        port: 0,
    };
    Ok(serve(options).await?)
}
