//! `orphan`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Subcommand;
use tokio::sync::mpsc::{self, Receiver};

use super::USAGE;
use super::job::{self, chosen};
use super::output::Output;
use crate::config::Config;
use crate::daemon::{self, Parts};
use crate::jobs::Job;
use crate::jobs::orphan_scan::{self, Header, Orphan, OrphanDeletion, OrphanScan};
use crate::model::{BackendKind, clock};
use crate::work::Outcome;

/// Orphans that may wait to be written.
const WAITING: usize = 1_000;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Look for rows of actors that do not exist. Nothing is deleted.
    Scan {
        /// Where to write the list of all of them, for `orphan delete`; a file that is there is replaced.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Where to look; needed when the deployment is on several backends.
        #[arg(long, value_name = "BACKEND", value_parser = job::backend)]
        backend: Option<BackendKind>,
    },
    /// Delete the rows of a list that somebody has looked through. Each goes only if it is as it was
    /// listed and its actor still does not exist.
    Delete {
        /// The list, as `orphan scan --output` has made it; lines may have been taken out.
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Only say what would go.
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) async fn run(command: Command, config: Config, output: &Output) -> anyhow::Result<u8> {
    match command {
        Command::Scan { output: file, backend } => match chosen(orphan_scan::NAME, backend, &config) {
            Ok(backend) => scan(file.as_deref(), on(backend, config), backend, output).await,
            Err(wrong) => {
                output.error(&wrong);
                Ok(USAGE)
            }
        },
        Command::Delete { from, dry_run } => delete(&from, dry_run, config, output).await,
    }
}

/// What is about one backend needs no other.
fn on(backend: BackendKind, mut config: Config) -> Config {
    config.storage.backends = vec![backend.name().to_owned()];
    config
}

async fn scan(file: Option<&Path>, config: Config, backend: BackendKind, output: &Output) -> anyhow::Result<u8> {
    let scan =
        OrphanScan::new(config.jobs.orphan_scan.clone(), config.throttle.clone(), daemon::place(&config, backend));
    let Some(file) = file else {
        let job: Arc<dyn Job> = Arc::new(scan);
        return job::run::run_now(&job, &config, output).await;
    };
    let identity = Parts::connected(&config).await?.runner(backend)?.store.identity().await?;
    let list = List::create(file, &Header::new(identity.id, backend, clock::now()))
        .with_context(|| format!("cannot write {}", file.display()))?;
    let (sender, receiver) = mpsc::channel(WAITING);
    let writing = tokio::task::spawn_blocking(move || list.fill(receiver));
    let job: Arc<dyn Job> = Arc::new(scan.listing(sender));
    let run = job::run::run(&job, &config).await?;
    // The list ends with its last sender.
    drop(job);
    let list = writing.await?.with_context(|| format!("cannot write {}", file.display()))?;
    // The list of a scan that was cut short would be taken for the whole.
    let is_whole = run.outcome == Some(Outcome::Succeeded);
    if is_whole {
        list.keep(file).with_context(|| format!("cannot write {}", file.display()))?;
    }
    output.either(&run, || {
        let mut text = job::run::summary(&run);
        if is_whole {
            text.push_str(&format!("\nThe list is in {}.\n", file.display()));
        }
        text
    })?;
    Ok(job::run::code(&run))
}

async fn delete(from: &Path, dry_run: bool, config: Config, output: &Output) -> anyhow::Result<u8> {
    let text = fs::read_to_string(from).with_context(|| format!("cannot read {}", from.display()))?;
    let (header, list) = orphan_scan::read(&text).with_context(|| format!("{} is not a list", from.display()))?;
    let backend = header.backend;
    if !config.storage.kinds().contains(&backend) {
        bail!("{} is a list of {backend}, where the deployment is not: see storage.backends", from.display());
    }
    let config = on(backend, config);
    let store = Arc::clone(&Parts::connected(&config).await?.runner(backend)?.store);
    let identity = store.identity().await?;
    ensure!(
        identity.id == header.deployment,
        "{} is the list of another deployment: it was made of {}, and {} is {}",
        from.display(),
        header.deployment,
        store.describe(),
        identity.id
    );
    let settings = config.jobs.orphan_scan.clone();
    let deletion = OrphanDeletion::new(settings, config.throttle.clone(), daemon::place(&config, backend), list);
    let job: Arc<dyn Job> = Arc::new(deletion);
    if dry_run {
        return job::run::preview(&job, &config, output).await;
    }
    job::run::run_now(&job, &config, output).await
}

/// A list that is being written, beside its place until it is whole. Others cannot read it.
struct List {
    path: PathBuf,
    file: BufWriter<File>,
}

impl List {
    fn create(place: &Path, header: &Header) -> io::Result<Self> {
        let mut name = place.as_os_str().to_owned();
        name.push(".partial");
        let path = PathBuf::from(name);
        // Whoever has left one behind may have made it for others to read.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let mut list = Self { path, file: BufWriter::new(file) };
        list.line(header)?;
        Ok(list)
    }

    /// Writes orphans until there are no more.
    fn fill(mut self, mut orphans: Receiver<Orphan>) -> io::Result<Self> {
        while let Some(orphan) = orphans.blocking_recv() {
            self.line(&orphan)?;
        }
        self.file.flush()?;
        Ok(self)
    }

    fn line(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n")
    }

    /// Puts it in its place.
    fn keep(mut self, place: &Path) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        fs::rename(&self.path, place)
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // Not there any more once it is in its place.
        let _removed = fs::remove_file(&self.path);
    }
}
