//! What a file's bytes are compared with.
//!
//! The hub gives the SHA-256 of large files and git's blob id (SHA-1 over `blob <size>\0` and the
//! bytes) of small ones; S3 the MD5 of what was uploaded in one part. Of an upload in n parts it gives
//! the MD5 of the parts' MD5s and `-n`, which says nothing without the parts' size: then only the size
//! is compared, and said to be. Held by the tests below, against coreutils and git.

use std::fmt;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// A checksum as lowercase hex, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// SHA-256 of the bytes.
    Sha256(String),
    /// Git's name of a blob: SHA-1 of a header with the size and of the bytes.
    GitSha1(String),
    /// MD5 of the bytes.
    Md5(String),
    /// The server has none that can be checked; the size is compared.
    SizeOnly,
}

impl Checksum {
    /// What an `ETag` of S3 says.
    pub(super) fn from_s3_etag(etag: &str) -> Self {
        let etag = etag.trim_matches('"');
        if is_hex(etag, 32) {
            Self::Md5(etag.to_ascii_lowercase())
        } else {
            Self::SizeOnly
        }
    }

    /// "sha256", …
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::GitSha1(_) => "git blob sha1",
            Self::Md5(_) => "md5",
            Self::SizeOnly => "size",
        }
    }

    /// The expected value; none where only the size is compared.
    #[must_use]
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Sha256(hex) | Self::GitSha1(hex) | Self::Md5(hex) => Some(hex),
            Self::SizeOnly => None,
        }
    }

    /// A hasher for a file of `size` bytes.
    pub(super) fn hasher(&self, size: u64) -> Hasher {
        match self {
            Self::Sha256(_) => Hasher::Sha256(Sha256::new()),
            Self::GitSha1(_) => {
                let mut sha1 = Sha1::new();
                sha1.update(format!("blob {size}\0"));
                Hasher::Sha1(sha1)
            }
            Self::Md5(_) => Hasher::Md5(Md5::new()),
            Self::SizeOnly => Hasher::None,
        }
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(value) => write!(f, "{} {value}", self.kind()),
            None => f.write_str("size only"),
        }
    }
}

/// Takes a file's bytes as they come.
pub(super) enum Hasher {
    Sha256(Sha256),
    Sha1(Sha1),
    Md5(Md5),
    None,
}

impl Hasher {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::None => {}
        }
    }

    /// The value in lowercase hex; none where only the size is compared.
    pub(super) fn finish(self) -> Option<String> {
        match self {
            Self::Sha256(hasher) => Some(hex::encode(hasher.finalize())),
            Self::Sha1(hasher) => Some(hex::encode(hasher.finalize())),
            Self::Md5(hasher) => Some(hex::encode(hasher.finalize())),
            Self::None => None,
        }
    }
}

/// Whether `text` is `n` hexadecimal digits.
pub(super) fn is_hex(text: &str, n: usize) -> bool {
    text.len() == n && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(checksum: &Checksum, bytes: &[u8]) -> Option<String> {
        let mut hasher = checksum.hasher(bytes.len() as u64);
        for part in bytes.chunks(3) {
            hasher.update(part);
        }
        hasher.finish()
    }

    /// `printf hello | sha256sum`, `md5sum`, `git hash-object --stdin`.
    #[test]
    fn values_are_those_of_coreutils_and_git() {
        let none = String::new;
        assert_eq!(
            of(&Checksum::Sha256(none()), b"hello").as_deref(),
            Some("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824")
        );
        assert_eq!(
            of(&Checksum::Md5(none()), b"hello").as_deref(),
            Some("5d41402abc4b2a76b9719d911017c592")
        );
        assert_eq!(
            of(&Checksum::GitSha1(none()), b"hello").as_deref(),
            Some("b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0")
        );
        assert_eq!(of(&Checksum::SizeOnly, b"hello"), None);
    }

    #[test]
    fn etags_of_several_parts_cannot_be_checked() {
        let one = "\"5D41402ABC4B2A76B9719D911017C592\"";
        assert_eq!(
            Checksum::from_s3_etag(one),
            Checksum::Md5("5d41402abc4b2a76b9719d911017c592".to_owned())
        );
        let parts = "\"5d41402abc4b2a76b9719d911017c592-3\"";
        assert_eq!(Checksum::from_s3_etag(parts), Checksum::SizeOnly);
        assert_eq!(Checksum::from_s3_etag(""), Checksum::SizeOnly);
    }
}
