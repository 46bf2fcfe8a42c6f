//! A program while it runs, and how it is ended.

use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinHandle;

use super::ending::{Tail, told};
use super::{Error, Program, Result};
use crate::work::Stop;

/// How long a program has to end by itself after it was asked to.
const GRACE: Duration = Duration::from_secs(5);

/// A program that runs. Dropped, it is killed with everything that it has started.
#[derive(Debug)]
pub struct Running {
    program: Program,
    child: Child,
    group: Group,
    stderr: JoinHandle<Tail>,
}

/// The process group of a program.
#[derive(Debug)]
struct Group {
    /// Its leader; as long as it has not been waited for, nobody else can have the number.
    guard: Child,
    pid: Option<Pid>,
    /// The pipe whose end tells the guard to clear away the group.
    _lifeline: Option<ChildStdin>,
}

impl Group {
    fn start(program: &Program) -> Result<Self> {
        let mut guard = program.guard().spawn().map_err(|error| not_started("sh", error))?;
        let pid = guard.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { _lifeline: guard.stdin.take(), guard, pid })
    }

    fn number(&self) -> i32 {
        self.pid.map_or(0, Pid::as_raw_pid)
    }

    /// Sends everybody in it a signal.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid {
            // Whoever is gone needs no signal.
            let _nobody_left = kill_process_group(pid, signal);
        }
    }

    /// Kills everybody in it, and waits for its leader.
    async fn clear(&mut self) {
        self.signal(Signal::KILL);
        let _status = self.guard.wait().await;
        self.pid = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Running {
    /// The most that [`Program::output`] takes from a program, in bytes.
    pub const MOST_OUTPUT: usize = 64 << 20;

    pub(super) fn start(program: Program) -> Result<Self> {
        let group = Group::start(&program)?;
        let mut child = program.command(group.number()).spawn().map_err(|error| not_started(&program.name(), error))?;
        let stderr = tokio::spawn(listen(child.stderr.take()));
        Ok(Self { program, child, group, stderr })
    }

    /// Its process id, until it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// A sink for what it reads; dropped, the program has read all there is. There once, and only for
    /// [`Program::reading`].
    pub fn stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// What it writes. There once, and only for [`Program::writing`].
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end. Returns what it has said on its standard error: the last of it.
    ///
    /// # Errors
    ///
    /// When it failed; or [`Error::Stopped`] when somebody asked to stop: then it was asked to end, and killed with
    /// its whole group when it did not.
    pub async fn wait(mut self, stop: &Stop) -> Result<String> {
        let status = tokio::select! {
            status = self.child.wait() => status,
            () = stop.wait() => {
                self.end().await;
                return Err(Error::Stopped);
            }
        };
        let (status, said) = self.gather(status).await;
        self.judge(status?, said)
    }

    /// Runs `work` beside the program until both are done. When `work` fails, the program is ended; so `work` must
    /// not fail because the program did, whose streams then only end.
    ///
    /// # Errors
    ///
    /// That of `work`, that of the program, or [`Error::Stopped`].
    pub async fn beside<T>(mut self, stop: &Stop, work: impl Future<Output = Result<T>>) -> Result<(T, String)> {
        let mut work = std::pin::pin!(work);
        let mut done = None;
        let status = loop {
            tokio::select! {
                result = &mut work, if done.is_none() => match result {
                    Ok(value) => done = Some(value),
                    Err(error) => {
                        self.end().await;
                        return Err(error);
                    }
                },
                status = self.child.wait() => break status,
                () = stop.wait() => {
                    self.end().await;
                    return Err(Error::Stopped);
                }
            }
        };
        let (status, said) = self.gather(status).await;
        let said = self.judge(status?, said)?;
        let value = match done {
            Some(value) => value,
            None => tokio::select! {
                result = work => result?,
                () = stop.wait() => return Err(Error::Stopped),
            },
        };
        Ok((value, said))
    }

    /// Waits for its end, and takes what it writes to its standard output meanwhile.
    ///
    /// # Errors
    ///
    /// As [`Program::output`].
    pub async fn output(mut self, stop: &Stop) -> Result<Vec<u8>> {
        let name = self.program.name();
        let stdout = self.stdout();
        let reading = async {
            let mut bytes = Vec::new();
            if let Some(stdout) = stdout {
                let most = Self::MOST_OUTPUT as u64 + 1;
                let read = stdout.take(most).read_to_end(&mut bytes).await;
                read.map_err(|error| Error::Failed {
                    what: format!("cannot read what {name} writes"),
                    source: Some(error.into()),
                })?;
            }
            if bytes.len() > Self::MOST_OUTPUT {
                return Err(Error::failed(format!("{name} writes more than {} bytes", Self::MOST_OUTPUT)));
            }
            Ok(bytes)
        };
        self.beside(stop, reading).await.map(|(bytes, _said)| bytes)
    }

    /// Asks it to end, and kills it when it does not.
    async fn end(&mut self) {
        self.group.signal(Signal::TERM);
        // Somebody may have stopped it: so it hears.
        self.group.signal(Signal::CONT);
        tokio::select! {
            _status = self.child.wait() => {}
            () = tokio::time::sleep(GRACE) => {}
        }
        self.group.signal(Signal::KILL);
        let _status = self.child.wait().await;
        self.group.clear().await;
    }

    /// Clears away what a program that has ended left running. Returns how it ended and what it said.
    async fn gather(&mut self, status: std::io::Result<ExitStatus>) -> (Result<ExitStatus>, String) {
        self.group.clear().await;
        let name = self.program.name();
        let status = status
            .map_err(|error| Error::Failed { what: format!("cannot wait for {name}"), source: Some(error.into()) });
        // With the group, everybody who could write is gone.
        let said = (&mut self.stderr).await.map(|tail| tail.text()).unwrap_or_default();
        (status, self.program.redacted(said))
    }

    fn judge(&self, status: ExitStatus, said: String) -> Result<String> {
        if status.success() {
            return Ok(said);
        }
        let name = self.program.name();
        let Some(code) = status.code() else {
            // What ended it is something else than what it was to do.
            return Err(Error::Failed {
                what: format!("{name} did not come to its end"),
                source: Some(told(status).into()),
            });
        };
        let said = if said.is_empty() { String::new() } else { format!(": {}", said.replace('\n', "; ")) };
        Err(Error::failed(format!("{name} failed with exit code {code}{said}")))
    }
}

/// Copies `from` into the standard input of a program and ends it. A program that has read enough may close it.
///
/// # Errors
///
/// When `from` cannot be read.
pub async fn feed(mut from: impl tokio::io::AsyncRead + Unpin, mut into: ChildStdin) -> std::io::Result<()> {
    let mut chunk = vec![0; 128 * 1024];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            let _closed = into.shutdown().await;
            return Ok(());
        }
        if into.write_all(&chunk[..read]).await.is_err() {
            return Ok(());
        }
    }
}

async fn listen(stderr: Option<ChildStderr>) -> Tail {
    let mut tail = Tail::new();
    let Some(mut stderr) = stderr else { return tail };
    let mut chunk = vec![0; 4096];
    while let Ok(read) = stderr.read(&mut chunk).await
        && read > 0
    {
        tail.add(&chunk[..read]);
    }
    tail
}

fn not_started(name: &str, error: std::io::Error) -> Error {
    Error::Failed { what: format!("cannot start {name}"), source: Some(error.into()) }
}
