//! How a program ended, in words.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What ended a program that did not end by itself.
pub(super) fn told(status: ExitStatus) -> String {
    match status.signal() {
        Some(9) => "it was killed (signal 9), by somebody or by the system because memory ran out".to_owned(),
        Some(signal) => format!("it was ended by signal {signal}{}", signal_name(signal)),
        None => "nobody knows why".to_owned(),
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        1 => " (hangup)",
        2 => " (interrupt)",
        6 => " (abort)",
        7 => " (bus error)",
        11 => " (segmentation fault)",
        13 => " (broken pipe)",
        15 => " (termination)",
        _ => "",
    }
}

/// The last of what somebody says, in as many bytes at most.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Tail {
    /// Enough for the messages that matter, which come last.
    const MOST: usize = 16 * 1024;

    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), is_cut: false }
    }

    pub(super) fn add(&mut self, more: &[u8]) {
        self.bytes.extend_from_slice(more);
        if self.bytes.len() > Self::MOST {
            self.bytes.drain(..self.bytes.len() - Self::MOST);
            self.is_cut = true;
        }
    }

    /// As text, without the part of a line that is left of one that was cut.
    pub(super) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = match text.split_once('\n') {
            Some((_, rest)) if self.is_cut => rest,
            _ => &text,
        };
        text.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_told() {
        for (raw, words) in [(9, "memory ran out"), (11, "segmentation fault"), (15, "signal 15")] {
            let told = told(ExitStatus::from_raw(raw));
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn the_last_lines_are_kept() {
        let mut tail = Tail::new();
        for n in 0..10_000 {
            tail.add(format!("line {n}\n").as_bytes());
        }
        let text = tail.text();
        assert!(text.len() <= Tail::MOST && text.starts_with("line ") && text.ends_with("line 9999"), "{text}");
    }
}
