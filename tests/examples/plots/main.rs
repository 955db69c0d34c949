//! Curves of what a request costs as load grows: reads the files that `make bench-growth` and `make bench-ledger` write, and draws
//! each as an SVG. A file that is not there is left out, and said. Measuring must not live here.
//!
//! `cargo run --release -p tests --example plots -- [FOLDER OF CSV FILES] [FOLDER OF SVG FILES]`

mod data;
mod draw;
mod figures;

use std::path::PathBuf;

fn main() {
    let mut arguments = std::env::args().skip(1).map(PathBuf::from);
    let from = arguments.next().unwrap_or_else(|| "bench/growth".into());
    let to = arguments.next().unwrap_or_else(|| "docs".into());
    for figure in figures::FIGURES {
        let (source, target) = (from.join(figure.csv), to.join(figure.svg));
        let Some(data) = data::Data::read(&source) else {
            eprintln!("plots: {} is not there: left out", source.display());
            continue;
        };
        draw::draw(figure, &data, &target).expect("an SVG can be drawn and written");
        eprintln!("plots: wrote {}", target.display());
    }
}
