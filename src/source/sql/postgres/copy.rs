//! What a COPY sends, taken apart.

use crate::source::sql::tuples::Tuples;

/// The messages of a COPY: a head, rows, an end.
pub(super) struct Copy {
    pub(super) tuples: Tuples,
    pub(super) state: CopyState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyState {
    Begun,
    Rows,
    Ended,
}

impl Copy {
    const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

    /// A message has one row; the first has the head before that. `None`: it is no COPY.
    pub(super) fn take(&mut self, message: &[u8]) -> Option<()> {
        let row = match self.state {
            CopyState::Ended => return None,
            CopyState::Rows => message,
            CopyState::Begun => {
                self.state = CopyState::Rows;
                let (flags, rest) = message.strip_prefix(Self::SIGNATURE)?.split_first_chunk::<4>()?;
                let (extension, rest) = rest.split_first_chunk::<4>()?;
                // With OIDs in the rows, which no server has had for long.
                let is_plain = u32::from_be_bytes(*flags) & 0xffff_0000 == 0;
                rest.get(u32::from_be_bytes(*extension) as usize..).filter(|_| is_plain)?
            }
        };
        match row {
            [] => {}
            [0xff, 0xff] => self.state = CopyState::Ended,
            row => {
                self.tuples.bytes.extend_from_slice(row);
                self.tuples.rows += 1;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_a_head_rows_and_an_end() {
        let head = [Copy::SIGNATURE, &[0; 8]].concat();
        let mut copy = Copy { tuples: Tuples::default(), state: CopyState::Begun };
        assert!(copy.take(&[head.as_slice(), &[0, 0]].concat()).is_some());
        assert!(copy.take(&[0, 0]).is_some() && copy.take(&[0xff, 0xff]).is_some());
        assert_eq!((copy.tuples.rows, copy.state), (2, CopyState::Ended));
        assert!(copy.take(&[0, 0]).is_none(), "nothing comes after the end");
        for wrong in [&b"PGCOPY"[..], b"1\tx\n", &[Copy::SIGNATURE, &[0, 1, 0, 0, 0, 0, 0, 0]].concat()] {
            let mut copy = Copy { tuples: Tuples::default(), state: CopyState::Begun };
            assert!(copy.take(wrong).is_none(), "{wrong:?}");
        }
    }
}
