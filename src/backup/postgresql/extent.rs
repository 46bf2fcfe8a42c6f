//! How large a physical set becomes when it is unpacked: its compressed files do not say.

use serde::Deserialize;
use tokio::io::AsyncReadExt;

use super::physical::{CHECKSUMS, DIRECTORY};
use crate::backup::{Error, Manifest, Result, Shelf};

/// What a file takes a multiple of.
const BLOCK: u64 = 4096;

/// The usual size of a file of the write-ahead log.
const SEGMENT: u64 = 16 << 20;

/// What `pg_basebackup` wrote of what it has copied, as far as it is about space.
#[derive(Deserialize)]
struct Copied {
    #[serde(rename = "Files")]
    files: Vec<File>,
    #[serde(rename = "WAL-Ranges")]
    log: Vec<Range>,
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "Size")]
    size: u64,
}

#[derive(Deserialize)]
struct Range {
    #[serde(rename = "Start-LSN")]
    start: String,
    #[serde(rename = "End-LSN")]
    end: String,
}

/// The bytes that the files of a physical set take when they are unpacked, those of its write-ahead log among them.
///
/// # Errors
///
/// [`Error::Damaged`] when the set does not say what is in it.
pub(in crate::backup) async fn unpacked(shelf: &Shelf, manifest: &Manifest) -> Result<u64> {
    let mut text = Vec::new();
    let read = shelf.read(manifest, &format!("{DIRECTORY}/{CHECKSUMS}")).await?.read_to_end(&mut text).await;
    read.map_err(|error| Error::reading(&manifest.set, CHECKSUMS, error))?;
    let taken = extent(&text).map_err(|what| Error::Damaged { set: manifest.set.to_string(), what })?;
    // Where files of the log are larger than usual and nothing is compressed, the set says more.
    Ok(taken.max(manifest.bytes()))
}

/// The same, by the text of what `pg_basebackup` wrote.
fn extent(text: &[u8]) -> Result<u64, String> {
    let copied: Copied = serde_json::from_slice(text).map_err(|error| format!("{CHECKSUMS}: {error}"))?;
    let files: u64 = copied.files.iter().map(|file| file.size.next_multiple_of(BLOCK)).sum();
    let mut log = 0;
    for Range { start, end } in &copied.log {
        let (Some(from), Some(to)) = (position(start), position(end)) else {
            return Err(format!("{CHECKSUMS}: a part of the write-ahead log goes from `{start}` to `{end}`"));
        };
        // It is copied in whole files.
        log += (to / SEGMENT).saturating_sub(from / SEGMENT) * SEGMENT + SEGMENT;
    }
    Ok(files + log)
}

/// A position in the write-ahead log, as in `0/2000028`.
fn position(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    let half = |text| u32::from_str_radix(text, 16).ok().map(u64::from);
    Some(half(high)? << 32 | half(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_take_whole_blocks_and_the_log_whole_files() {
        let text = |start: &str| {
            format!(
                r#"{{"PostgreSQL-Backup-Manifest-Version": 1, "Files": [
                    {{"Path": "base/1/1", "Size": 8192, "Checksum-Algorithm": "SHA256", "Checksum": "00"}},
                    {{"Encoded-Path": "ff", "Size": 1}}, {{"Path": "base/1/2", "Size": 0}}],
                    "WAL-Ranges": [{{"Timeline": 1, "Start-LSN": "{start}", "End-LSN": "1/3000100"}}],
                    "Manifest-Checksum": "00"}}"#
            )
        };
        assert_eq!(extent(text("1/3000028").as_bytes()), Ok(3 * BLOCK + SEGMENT));
        assert_eq!(extent(text("0/FF000000").as_bytes()), Ok(3 * BLOCK + 5 * SEGMENT));
        for start in ["", "3000028", "1/g", "1/100000000"] {
            assert!(extent(text(start).as_bytes()).unwrap_err().contains(CHECKSUMS), "{start}");
        }
        assert!(extent(b"{}").unwrap_err().contains(CHECKSUMS));
    }
}
