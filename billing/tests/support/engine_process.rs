//! The engine's process alone, for this crate's tests: the same call that the product's command line makes.

use store::engine::{Options, Started, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Some(data_dir) = std::env::args().nth(1) else {
        return Err("usage: billing-test-engine DATA_DIR".into());
    };
    let options = Options {
        data_dir: data_dir.into(),
        library: None,
        started: Started::ByParent,
        port: 0,
    };
    Ok(serve(options).await?)
}
