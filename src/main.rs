//! The binary: reads the command line and ends with the exit code of what was asked for.

use std::process::ExitCode;

fn main() -> ExitCode {
    let _faults = actingweb_maintd::fault::Faults::from_environment();
    actingweb_maintd::cli::main()
}
