//! What programs that we start must not inherit.

/// The variables by which a service manager speaks to the daemon. A program that found them would
/// answer in the daemon's place, as PostgreSQL does.
pub const OURS_ALONE: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];
