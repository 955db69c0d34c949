//! The coverage-guided runner: libFuzzer chooses bytes, the target named by `FUZZ_TARGET` judges them; it starts from the
//! seeds, which it writes into the folder `FUZZ_SEEDS`. Started by `fuzz/run.sh`, which instruments our own crates. What
//! must not live here: what a target checks, where seeds come from.
#![no_main]

use std::path::Path;
use std::sync::OnceLock;

use fuzz::Target;
use fuzz::seeds::seeds;

static TARGET: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let names: Vec<&str> = fuzz::TARGETS.iter().map(|target| target.name).collect();
    let found = fuzz::TARGETS.iter().find(|target| target.name == name);
    *found.unwrap_or_else(|| {
        panic!(
            "FUZZ_TARGET is `{name}`, and must be one of {}",
            names.join(", ")
        )
    })
}

fn write_seeds(target: &Target, folder: &Path) -> std::io::Result<()> {
    for (at, (_, seed)) in seeds(target)?.into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{at:04}")), seed)?;
    }
    Ok(())
}

fn prepare() {
    let target = TARGET.get_or_init(chosen);
    if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
        write_seeds(target, Path::new(&folder)).expect("seeds can be written into FUZZ_SEEDS");
    }
}

libfuzzer_sys::fuzz_target!(init: prepare(), |data: &[u8]| TARGET.get_or_init(chosen).check(data));
