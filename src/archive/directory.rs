//! What is done to directories so that it lasts, or is nobody else's business. All of it blocks.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// Makes a directory, and what leads to it, that only we can look into, if it is not there.
///
/// # Errors
///
/// When it cannot be made to last.
pub fn make_private(path: &Path) -> Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|error| Error::io("make the directory", shown(path), error))?;
    missing.into_iter().filter_map(Path::parent).try_for_each(sync)
}

/// Makes what has been done to the entries of a directory last.
///
/// # Errors
///
/// When it may not last.
pub fn sync(path: &Path) -> Result<()> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(|error| Error::io("make last what is in", shown(path), error))
}

/// Writes a file, whose bytes then last; its name does once the directory is [synced](sync).
///
/// # Errors
///
/// When it could not be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let written = File::create(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| Error::io("write", shown(path), error))
}

/// Gives a directory or file another name in the same directory, which then lasts.
///
/// # Errors
///
/// When it has not been done, or may not last.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|error| Error::io("rename to", shown(to), error))?;
    to.parent().map_or(Ok(()), sync)
}

/// Removes a directory and all that is in it; what is not there is removed.
///
/// # Errors
///
/// When some of it may still be there.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", shown(path), error)),
        _ => Ok(()),
    }
}

/// What is below a directory.
#[derive(Debug, Default)]
pub struct Tree {
    /// Every directory, the outermost first and itself among them.
    pub directories: Vec<PathBuf>,
    /// Every file, by its path from the directory on, with `/` between the parts.
    pub files: Vec<String>,
}

/// Everything below a directory.
///
/// # Errors
///
/// When it cannot be read, or something in it is neither a directory nor a file, or has a name that is no text.
pub fn tree(root: &Path) -> Result<Tree> {
    let fail = |path: &Path, error| Error::io("look into", shown(path), error);
    let mut tree = Tree { directories: vec![root.to_path_buf()], files: Vec::new() };
    let mut next = 0;
    while let Some(directory) = tree.directories.get(next).cloned() {
        next += 1;
        for entry in fs::read_dir(&directory).map_err(|error| fail(&directory, error))? {
            let entry = entry.map_err(|error| fail(&directory, error))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| fail(&path, error))?;
            let name = path.strip_prefix(root).ok().and_then(Path::to_str);
            match name {
                Some(_) if kind.is_dir() => tree.directories.push(path),
                Some(name) if kind.is_file() => tree.files.push(name.to_owned()),
                _ => {
                    return Err(fail(
                        &path,
                        io::Error::other("it is neither a directory nor a file with a plain name"),
                    ));
                }
            }
        }
    }
    tree.files.sort_unstable();
    Ok(tree)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
