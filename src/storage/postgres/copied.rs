//! Rows as `COPY … (FORMAT binary)` sends them, taken apart without making meaning of them.

/// What every stream begins with.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// More columns than any table has.
const MOST_COLUMNS: usize = 32;

/// Takes a stream apart that comes in pieces of any size.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// The beginning of what has not come wholly yet.
    rest: Vec<u8>,
    has_begun: bool,
    has_ended: bool,
}

/// Why a stream is none of rows.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the copied rows do not begin as they should")]
    Beginning,
    #[error("a copied row has {0} columns")]
    Columns(i16),
    #[error("a copied column is not UTF-8")]
    Text,
    #[error("more comes after the end of the copied rows")]
    Ended,
    #[error("the copied rows break off")]
    Cut,
}

impl Copied {
    /// Takes the next piece, and shows `row` each row that is complete with it: its columns, none for NULL.
    pub(super) fn add(&mut self, piece: &[u8], mut row: impl FnMut(&[Option<&str>])) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            let left = self.take(piece, &mut row)?;
            self.rest.extend_from_slice(left);
        } else {
            let mut all = std::mem::take(&mut self.rest);
            all.extend_from_slice(piece);
            let left = self.take(&all, &mut row)?.len();
            all.drain(..all.len() - left);
            self.rest = all;
        }
        Ok(())
    }

    /// Whether the stream has come to its end, when no more comes.
    pub(super) fn finish(self) -> Result<(), Malformed> {
        if self.has_ended { Ok(()) } else { Err(Malformed::Cut) }
    }

    /// Takes all that is complete. Returns what is left.
    fn take<'a>(&mut self, mut bytes: &'a [u8], row: &mut impl FnMut(&[Option<&str>])) -> Result<&'a [u8], Malformed> {
        if !self.has_begun {
            let Some(after) = beginning(bytes)? else { return Ok(bytes) };
            self.has_begun = true;
            bytes = after;
        }
        while let Some((count, after)) = bytes.split_first_chunk() {
            if self.has_ended {
                return Err(Malformed::Ended);
            }
            let count = i16::from_be_bytes(*count);
            if count == -1 {
                self.has_ended = true;
                bytes = after;
                continue;
            }
            let mut columns = [None; MOST_COLUMNS];
            let columns = usize::try_from(count).ok().and_then(|count| columns.get_mut(..count));
            let columns = columns.ok_or(Malformed::Columns(count))?;
            let Some(after) = fields(after, columns)? else { break };
            row(columns);
            bytes = after;
        }
        if self.has_ended && !bytes.is_empty() {
            return Err(Malformed::Ended);
        }
        Ok(bytes)
    }
}

/// What follows the beginning, if all of it is there: flags, of which we know none, and more for those who know it.
fn beginning(bytes: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(Malformed::Beginning);
    }
    let flags = bytes.get(SIGNATURE.len()..).and_then(<[u8]>::split_first_chunk::<4>);
    let Some((_flags, bytes)) = flags else { return Ok(None) };
    let Some((length, bytes)) = bytes.split_first_chunk() else { return Ok(None) };
    Ok(bytes.get(u32::from_be_bytes(*length) as usize..))
}

/// Reads as many fields as there are columns. Returns what follows, if all of them are there.
fn fields<'a>(mut bytes: &'a [u8], columns: &mut [Option<&'a str>]) -> Result<Option<&'a [u8]>, Malformed> {
    for column in columns {
        let Some((length, after)) = bytes.split_first_chunk() else { return Ok(None) };
        bytes = after;
        // NULL has the length -1.
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { continue };
        let Some((text, after)) = bytes.split_at_checked(length) else { return Ok(None) };
        *column = Some(std::str::from_utf8(text).map_err(|_| Malformed::Text)?);
        bytes = after;
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(rows: &[&[Option<&str>]]) -> Vec<u8> {
        let mut bytes = [SIGNATURE.as_slice(), &[0; 4], &[0, 0, 0, 2, 7, 7]].concat();
        for row in rows {
            bytes.extend((row.len() as i16).to_be_bytes());
            for column in *row {
                bytes.extend(column.map_or(-1, |text| text.len() as i32).to_be_bytes());
                bytes.extend(column.unwrap_or_default().bytes());
            }
        }
        bytes.extend((-1_i16).to_be_bytes());
        bytes
    }

    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Vec<Option<String>>>, Malformed> {
        let (mut copied, mut rows) = (Copied::default(), Vec::new());
        for piece in bytes.chunks(piece) {
            copied.add(piece, |row| rows.push(row.iter().map(|text| text.map(str::to_owned)).collect()))?;
        }
        copied.finish().map(|()| rows)
    }

    #[test]
    fn rows_are_the_same_however_they_are_cut_into_pieces() {
        let rows: [&[Option<&str>]; 3] =
            [&[Some("a\tb\\N\n"), None], &[Some(""), Some("\u{1f600}")], &[None, Some("\\.")]];
        let bytes = stream(&rows);
        let expected: Vec<Vec<Option<String>>> =
            rows.iter().map(|row| row.iter().map(|text| text.map(str::to_owned)).collect()).collect();
        for piece in 1..=bytes.len() {
            assert_eq!(read(&bytes, piece).unwrap(), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn what_breaks_off_or_goes_on_is_an_error() {
        let bytes = stream(&[&[Some("a"), None]]);
        for end in 0..bytes.len() {
            assert!(matches!(read(&bytes[..end], 5), Err(Malformed::Cut)), "cut at {end}");
        }
        assert!(matches!(read(&[bytes.as_slice(), b"x"].concat(), 100), Err(Malformed::Ended)));
        assert!(matches!(read(b"PGCOPI", 100), Err(Malformed::Beginning)));
    }
}
