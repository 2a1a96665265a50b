//! What keys and secrets look like. Pure.
//!
//! `sk_`, 43 characters that are 256 random bits, 6 that are their CRC-32; all of them letters and digits, so that a double
//! click takes the whole key, and of one length. The scheme is GitHub's
//! (<https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/>): a scanner finds keys by
//! [`PATTERN`] and leaves out what only looks like one by the checksum, and a mistyped key is known without a look-up.

use sha2::{Digest, Sha256};

use crate::store::Hash;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// How every key begins.
pub(super) const KEY_MARK: &str = "sk_";
/// How every secret begins, so that the two are not taken for each other.
pub(super) const SECRET_MARK: &str = "ss_";
/// What a secret scanner looks for.
pub const PATTERN: &str = r"\b(?:sk|ss)_[0-9A-Za-z]{49}\b";

/// Characters of a key that stay visible: its mark and 35 of its 256 bits.
const VISIBLE: usize = KEY_MARK.len() + 6;
/// Characters of 256 bits.
const RANDOM: usize = 43;
/// Characters of a CRC-32.
const CHECKSUM: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What a text is that came where a key belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It may be a key: its checksum fits, or it has the form of keys before they had one.
    Key,
    /// It is as long as a key and begins like one, but its checksum does not fit.
    Mistyped,
    /// It is no key.
    Other,
}

/// What a text is that came where a key belongs. Says nothing about whether there is such a key.
pub fn shape(text: &str) -> Shape {
    let Some(rest) = text.strip_prefix(KEY_MARK) else { return Shape::Other };
    if rest.len() == RANDOM + CHECKSUM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        let (random, written) = rest.split_at(RANDOM);
        return if written == checksum(random) { Shape::Key } else { Shape::Mistyped };
    }
    // Keys without a checksum: 256 bits in base64url.
    match URL_SAFE_NO_PAD.decode(rest) {
        Ok(bits) if bits.len() == 32 => Shape::Key,
        _ => Shape::Other,
    }
}

/// The characters of a key that may be shown.
pub(super) fn visible(key: &str) -> String {
    key.chars().take(VISIBLE).collect()
}

/// What is stored of a key or a secret. Both have 256 random bits, so a fast hash is enough.
pub fn hash(text: impl AsRef<[u8]>) -> Hash {
    Sha256::digest(text).into()
}

/// The text for 256 random bits.
pub fn text(mark: &str, bits: [u8; 32]) -> String {
    let random = base62(bits, RANDOM);
    let checksum = checksum(&random);
    format!("{mark}{random}{checksum}")
}

fn checksum(random: &str) -> String {
    base62(crc32fast::hash(random.as_bytes()).to_be_bytes(), CHECKSUM)
}

/// A number of big-endian bytes, with zeros before it up to `width` digits, which must be enough for it.
fn base62<const N: usize>(mut number: [u8; N], width: usize) -> String {
    let mut digits = vec![b'0'; width];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            // Below 256: the rest before was below 62.
            *byte = (value / 62) as u8;
            rest = value % 62;
        }
        *digit = DIGITS[rest as usize];
    }
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_githubs() {
        // A token that GitHub has made (and revoked), from a public gist.
        assert_eq!(checksum("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ"), "0mLq17");
        assert_eq!(checksum(""), "000000");
    }

    #[test]
    fn numbers_have_their_digits() {
        assert_eq!(base62([0; 32], 3), "000");
        assert_eq!(base62(61_u32.to_be_bytes(), 6), "00000z");
        assert_eq!(base62(62_u32.to_be_bytes(), 6), "000010");
        assert_eq!(base62(u32::MAX.to_be_bytes(), 6), "4gfFC3");
        // 2²⁵⁶ − 1 takes all 43 digits.
        assert_ne!(&base62([255; 32], RANDOM)[..1], "0");
        assert_eq!(&base62([255; 32], RANDOM + 1)[..1], "0");
    }

    #[test]
    fn what_is_no_key_is_known_by_its_look() {
        let key = text(KEY_MARK, [7; 32]);
        let old = format!("sk_{}", URL_SAFE_NO_PAD.encode([7; 32]));
        assert_eq!((shape(&key), shape(&old)), (Shape::Key, Shape::Key));
        for other in
            ["", "sk_", "sk_unknown", &key[3..], &key[..51], &format!("{key}0"), &key.replace("sk_", "ss_"), &old[..45]]
        {
            assert_eq!(shape(other), Shape::Other, "{other}");
        }
        assert_eq!(shape(&key.replace(&key[10..11], "é")), Shape::Other);
        assert_eq!(shape(&key.to_uppercase().replace("SK_", "sk_")), Shape::Mistyped);
    }

    proptest! {
        #[test]
        fn every_key_is_known_and_no_slip_is(bits: [u8; 32], at in 3_usize..52, to in 0_usize..62, swap in 3_usize..51) {
            let key = text(KEY_MARK, bits);
            prop_assert_eq!((key.len(), shape(&key)), (52, Shape::Key));
            let mut one = key.clone().into_bytes();
            one[at] = DIGITS[to];
            let mut two = key.clone().into_bytes();
            two.swap(swap, swap + 1);
            for slip in [one, two] {
                let slip = String::from_utf8(slip).expect("ASCII");
                prop_assert_eq!(shape(&slip), if slip == key { Shape::Key } else { Shape::Mistyped });
            }
        }
    }
}
