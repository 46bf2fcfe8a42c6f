//! Named points at which tests make things go wrong. Without the feature `faults`, which no
//! release has, nothing of this is compiled in.
//!
//! A daemon built with it reads its faults from the variable `FAILPOINTS`, in the words of the
//! crate `fail`: `postgresql.finish.commit.after=3*off->1*return(error)` lets three commits of
//! reports pass and loses the answer to the fourth. `return(abort)` ends the process as `kill -9`
//! would, `return(error)` is a broken connection, `return(delay:500)` waits for as many
//! milliseconds. Which points there are is in its log, at the level `trace`.

/// What a test made go wrong.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a test broke the connection here")]
pub struct Injected;

/// Keeps the faults of the environment in force until it is dropped; does nothing unless they are
/// compiled in.
pub struct Faults {
    #[cfg(feature = "faults")]
    _scenario: fail::FailScenario<'static>,
}

impl Faults {
    /// Takes the faults that the environment names.
    pub fn from_environment() -> Self {
        Self {
            #[cfg(feature = "faults")]
            _scenario: fail::FailScenario::setup(),
        }
    }
}

/// A point at which something can go wrong. Its name is only made when somebody may ask for it.
///
/// # Errors
///
/// When a test wants it to fail here.
#[cfg(feature = "faults")]
pub async fn at(point: impl FnOnce() -> String) -> Result<(), Injected> {
    let point = point();
    tracing::trace!(point, "something could go wrong here");
    let Some(action) = fail::eval(&point, |action| action.unwrap_or_default()) else { return Ok(()) };
    match action.split_once(':') {
        Some(("delay", milliseconds)) => {
            let milliseconds = milliseconds.parse().expect("a number of milliseconds");
            tokio::time::sleep(std::time::Duration::from_millis(milliseconds)).await;
            Ok(())
        }
        _ if action == "abort" => std::process::abort(),
        _ if action == "error" => Err(Injected),
        _ => panic!("`{action}` is not a fault: write abort, error or delay:MILLISECONDS"),
    }
}

/// A point at which nothing goes wrong.
///
/// # Errors
///
/// None: the feature `faults` is off.
#[cfg(not(feature = "faults"))]
#[expect(clippy::unused_async, reason = "the same shape as with the feature")]
#[inline]
pub async fn at(_point: impl FnOnce() -> String) -> Result<(), Injected> {
    Ok(())
}
