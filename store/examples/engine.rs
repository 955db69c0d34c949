//! The engine's process alone, for this crate's tests: the same call that the product's command line makes.
//!
//! `engine DATA_DIR child` is started by a parent, `engine DATA_DIR` by hand.

use store::engine::{Options, Started, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let data_dir = arguments
        .next()
        .ok_or_else(|| anyhow::anyhow!("usage: engine DATA_DIR [child]"))?
        .into();
    let started = if arguments.next().is_some() {
        Started::ByParent
    } else {
        Started::ByHand
    };
    Ok(serve(Options {
        data_dir,
        library: None,
        started,
        port: 0,
    })
    .await?)
}
