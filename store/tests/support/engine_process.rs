//! The engine's process alone, for this crate's tests: the same calls that the product's command line makes.
//!
//! `child DATA_DIR` is started by a parent, `hand DATA_DIR` by a person; `parent DATA_DIR` is a parent that supervises an
//! engine until somebody kills it, and prints where the engine is.

use std::io::Write as _;
use std::time::Duration;
use store::engine::{Options, Started, serve};
use store::supervisor::{self, Supervisor};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(role), Some(data_dir)) = (arguments.next(), arguments.next()) else {
        return Err("usage: child|hand|parent DATA_DIR".into());
    };
    let started = match role.as_str() {
        "child" => Started::ByParent,
        "hand" => Started::ByHand,
        _ => return parent(&data_dir).await,
    };
    let data_dir = data_dir.into();
    Ok(serve(Options {
        data_dir,
        library: None,
        started,
        port: 0,
    })
    .await?)
}

async fn parent(data_dir: &str) -> Result<(), Box<dyn std::error::Error>> {
    let supervisor = Supervisor::start(supervisor::Options {
        data_dir: data_dir.into(),
        library: None,
        program: std::env::current_exe()?,
        args: vec!["child".into(), data_dir.into()],
    })?;
    let endpoint = supervisor.ready(Duration::from_mins(1)).await?;
    writeln!(std::io::stdout(), "{}", endpoint.url)?;
    std::future::pending::<()>().await;
    Ok(())
}
