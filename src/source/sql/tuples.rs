//! Rows as bytes, on their way from the thread that asks to the threads that decode.
//!
//! As Postgres's binary COPY writes them, so that its bytes need no change: for each row the number of its fields (16 bits),
//! then for each field its length (32 bits, −1 for NULL) and its bytes; all big-endian.

/// So many bytes make a piece.
pub(super) const PIECE: usize = 1 << 20;

/// Some consecutive rows.
#[derive(Debug, Default)]
pub(super) struct Tuples {
    pub(super) bytes: Vec<u8>,
    pub(super) rows: usize,
}

/// The bytes are not rows of so many fields.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Garbled;

impl Tuples {
    /// An empty piece with room for as much as one has.
    pub(super) fn with_room() -> Self {
        Tuples { bytes: Vec::with_capacity(PIECE + PIECE / 8), rows: 0 }
    }

    /// Whether it is time to hand it over.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= PIECE
    }

    /// Begins a row of so many fields.
    pub(super) fn row(&mut self, fields: u16) {
        self.bytes.extend_from_slice(&fields.to_be_bytes());
        self.rows += 1;
    }

    /// Adds a field to the row that was begun last. A field has less than 2 GiB in every protocol.
    pub(super) fn field(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.bytes.extend_from_slice(&(-1i32).to_be_bytes()),
            Some(value) => {
                self.bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
                self.bytes.extend_from_slice(value);
            }
        }
    }

    /// Hands each field of each row to `take`, with its row and its position, both from 0.
    pub(super) fn each<E: From<Garbled>>(
        &self,
        fields: usize,
        mut take: impl FnMut(usize, usize, Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = self.bytes.as_slice();
        for row in 0..self.rows {
            let (count, after) = rest.split_first_chunk::<2>().ok_or(Garbled)?;
            if usize::from(u16::from_be_bytes(*count)) != fields {
                return Err(Garbled.into());
            }
            rest = after;
            for field in 0..fields {
                let (length, after) = rest.split_first_chunk::<4>().ok_or(Garbled)?;
                rest = after;
                match i32::from_be_bytes(*length) {
                    -1 => take(row, field, None)?,
                    length => {
                        let length = usize::try_from(length).map_err(|_| Garbled)?;
                        let (value, after) = rest.split_at_checked(length).ok_or(Garbled)?;
                        rest = after;
                        take(row, field, Some(value))?;
                    }
                }
            }
        }
        if rest.is_empty() { Ok(()) } else { Err(Garbled.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tuples: &Tuples, fields: usize) -> Result<Vec<Option<Vec<u8>>>, Garbled> {
        let mut all = Vec::new();
        tuples.each(fields, |row, field, value| {
            assert_eq!(row * fields + field, all.len());
            all.push(value.map(<[u8]>::to_vec));
            Ok::<(), Garbled>(())
        })?;
        Ok(all)
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let mut tuples = Tuples::default();
        let values = [Some(&b"abc"[..]), None, Some(b""), Some(&[0xff; 300])];
        for row in values.chunks(2) {
            tuples.row(2);
            row.iter().for_each(|value| tuples.field(*value));
        }
        let expected: Vec<Option<Vec<u8>>> = values.iter().map(|v| v.map(<[u8]>::to_vec)).collect();
        assert_eq!(read(&tuples, 2), Ok(expected));
        for fields in [0, 1, 3] {
            assert_eq!(read(&tuples, fields), Err(Garbled));
        }
        for cut in 0..tuples.bytes.len() {
            let short = Tuples { bytes: tuples.bytes[..cut].to_vec(), rows: 2 };
            assert_eq!(read(&short, 2), Err(Garbled), "{cut}");
        }
        tuples.bytes.push(0);
        assert_eq!(read(&tuples, 2), Err(Garbled));
    }

    #[test]
    fn rows_may_have_no_fields() {
        let mut tuples = Tuples::default();
        tuples.row(0);
        tuples.row(0);
        assert_eq!((read(&tuples, 0), tuples.rows), (Ok(Vec::new()), 2));
    }
}
