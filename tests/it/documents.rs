//! What the documents show can be done.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The blocks of this language in a document at the root, with the language's name taken off.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let found: Vec<String> = text
        .split("\n```")
        .filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n').map(str::to_owned))
        .collect();
    assert!(!found.is_empty(), "{document} shows no {language}");
    found
}

#[test]
fn every_command_of_the_readme_exists() {
    let commands = blocks("README.md", "console").join("\n");
    let mut tried = 0;
    for line in commands.lines().filter_map(|line| line.strip_prefix("$ actingweb-maintd ")) {
        let words = line.split('#').next().and_then(|line| line.split('>').next()).unwrap_or_default();
        let asked = Command::new(env!("CARGO_BIN_EXE_actingweb-maintd"))
            .args(words.split_whitespace())
            .arg("--help")
            .output()
            .expect("running the binary");
        assert!(asked.status.success(), "{line}: {}", String::from_utf8_lossy(&asked.stderr));
        tried += 1;
    }
    assert!(tried >= 10, "only {tried} commands were found");
}

#[test]
fn every_door_of_the_readme_exists() {
    let script = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("x")).expect("x");
    let commands = blocks("README.md", "console").join("\n");
    let mut doors = commands.lines().filter_map(|line| line.strip_prefix("$ ./x ")).peekable();
    assert!(doors.peek().is_some());
    for door in doors {
        let name = door.split_whitespace().next().expect("a name");
        assert!(script.contains(&format!("./x {name} ")), "./x {name} is not in its own help");
    }
}

#[test]
fn every_file_of_the_readme_exists() {
    let commands = blocks("README.md", "console").join("\n");
    let files: Vec<&str> = commands.split_whitespace().filter(|word| word.starts_with("deploy/")).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(file).exists(), "{file}");
    }
}

#[test]
fn the_configuration_of_the_readme_is_sound() {
    let dir = tempfile::tempdir().expect("a directory");
    let secret = dir.path().join("secret");
    fs::write(&secret, "hunter2\n").expect("a secret");
    for block in blocks("README.md", "toml") {
        let file = dir.path().join("config.toml");
        let block = block.replace("/run/secrets/actingweb-db", &secret.display().to_string());
        fs::write(&file, block).expect("a file");
        let checked = Command::new(env!("CARGO_BIN_EXE_actingweb-maintd"))
            .args(["config", "check", "--config"])
            .arg(&file)
            .env_clear()
            .output()
            .expect("running the binary");
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}
