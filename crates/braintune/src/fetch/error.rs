//! What can go wrong between a server and a file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::human_size;

/// Errors of [`fetch`](crate::fetch). Each message names the file or address and says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// "read", "write", …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The disk filled up while a file was written.
    #[error("no space left for {}; what has arrived is kept: make room and run the same again", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// The disk has too little room for what is to come.
    #[error("{} has {} free, {} are to come; make room or choose another place", path.display(), human_size(*available), human_size(*needed))]
    NoSpace {
        /// A folder on that disk.
        path: PathBuf,
        /// Bytes to come.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// A setting that cannot be used.
    #[error("{0}")]
    Input(String),
    /// What was asked for is not on the server.
    #[error("{0}")]
    Missing(String),
    /// A name from a server that could lead out of its folder.
    #[error("{url} names a file {name:?}, which is no plain file name; nothing was written")]
    Name {
        /// Where the name is from.
        url: String,
        /// The name.
        name: String,
    },
    /// The server says no, and would say so again.
    #[error("{url}: the server answers {status}; {advice}")]
    Refused {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What to do.
        advice: String,
    },
    /// The address cannot be asked at all.
    #[error("{url}: {problem}")]
    Connection {
        /// The address.
        url: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A list of files, or an answer's header, is not what it should be.
    #[error("{url}: {problem}")]
    Answer {
        /// The address.
        url: String,
        /// Expected and found.
        problem: String,
    },
    /// Too many tries in a row failed.
    #[error("{name}: given up after {attempts} tries, the last: {problem}; {}", kept_text(*kept))]
    GaveUp {
        /// The file or list.
        name: String,
        /// Tries in a row.
        attempts: u32,
        /// What was wrong the last time.
        problem: String,
        /// Bytes of the file that have arrived and stay.
        kept: u64,
    },
    /// The server asks for a longer pause than is reasonable.
    #[error("{name}: the server asks to wait {} s ({problem}); run the same command again later", pause.as_secs())]
    Later {
        /// The file or list.
        name: String,
        /// The pause it asks for.
        pause: Duration,
        /// Its reason.
        problem: String,
    },
    /// The bytes that arrived, twice, are not those that were announced.
    #[error("{}: {kind} is {got}, expected {expected}, in two tries; the server (or a proxy) changes the file, try another --endpoint", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// "sha256", …
        kind: &'static str,
        /// What the list says.
        expected: String,
        /// What arrived.
        got: String,
    },
    /// Another file is where one is to go.
    #[error("{} is there with {got} bytes, the server's has {expected}: move or delete it, or choose another place", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
        /// Bytes on the server.
        expected: u64,
        /// Bytes there.
        got: u64,
    },
    /// A file of the right size is where one is to go, with other bytes.
    #[error("{} is there with {kind} {got}, the server's has {expected}: it is damaged or another version; move or delete it and run the same again, or choose another place", path.display())]
    Differs {
        /// The file.
        path: PathBuf,
        /// "md5", …
        kind: &'static str,
        /// What the list says.
        expected: String,
        /// What is there.
        got: String,
    },
    /// Some files could not be fetched; the others are there.
    #[error("{n_failed} files could not be fetched, the first")]
    Several {
        /// How many.
        n_failed: usize,
        /// The first one's error.
        #[source]
        first: Box<FetchError>,
    },
    /// The caller asked to stop.
    #[error("stopped before the end")]
    Cancelled,
}

/// `Result` with [`FetchError`].
pub type Result<T, E = FetchError> = std::result::Result<T, E>;

impl FetchError {
    /// Whether the next file would meet the same.
    pub(super) fn stops_all(&self) -> bool {
        matches!(
            self,
            Self::Io { .. } | Self::DiskFull { .. } | Self::Later { .. } | Self::Cancelled
        ) || matches!(
            self,
            Self::Refused {
                status: 401 | 403,
                ..
            }
        )
    }
}

fn kept_text(kept: u64) -> String {
    match kept {
        0 => "nothing of it has arrived that could be kept; run the same command again later"
            .to_owned(),
        kept => format!(
            "{} are kept, the same command goes on from them",
            human_size(kept)
        ),
    }
}

/// Names the file in an I/O error.
pub(super) fn io_error(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> FetchError {
    let path = path.to_path_buf();
    move |source| match source.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            FetchError::DiskFull { path, source }
        }
        _ => FetchError::Io {
            action,
            path,
            source,
        },
    }
}

/// One try that failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The next try may do better.
    Again {
        /// What was wrong.
        problem: String,
        /// The pause the server asks for.
        after: Option<Duration>,
    },
    /// It would not.
    Final(FetchError),
}

impl Failure {
    /// A failure that may pass.
    pub(super) fn again(problem: impl Into<String>) -> Self {
        Self::Again {
            problem: problem.into(),
            after: None,
        }
    }
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Final(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        let path = Path::new("a.hf5");
        let full = io_error("write", path)(std::io::ErrorKind::StorageFull.into());
        assert!(matches!(full, FetchError::DiskFull { .. }) && full.stops_all());
        assert!(
            full.to_string().contains("what has arrived is kept"),
            "{full}"
        );
        let other = io_error("write", path)(std::io::ErrorKind::PermissionDenied.into());
        assert_eq!(other.to_string(), "cannot write a.hf5");
    }
}
