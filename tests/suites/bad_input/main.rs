//! Bad input of apps, providers, operators and disks: each has its status or exit code, its machine code, and its record
//! or sentence.

mod commands;
mod files;
mod flood;
mod framing;
mod mixed;
mod time_limits;
mod wire;
