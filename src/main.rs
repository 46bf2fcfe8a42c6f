//! The binary: reads the command line and ends with the exit code of what was asked for.

use std::process::ExitCode;

fn main() -> ExitCode {
    actingweb_maintd::cli::main()
}
