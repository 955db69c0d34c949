//! Parses the command line, wires the parts, runs them.
fn main() {}
