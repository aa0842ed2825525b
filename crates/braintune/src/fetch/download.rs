//! One file: lock, resume, receive, compare, put in its place.

use std::fs;
use std::io::{ErrorKind, Read};
use std::time::Duration;

use super::Checksum;
use super::client::{Answer, answer};
use super::error::{Failure, FetchError, Result, io_error};
use super::lock::lock;
use super::partial::Partial;
use super::plan::PlannedFile;
use super::retry::Tries;
use super::session::{Report, Session};

/// Bytes of one try that make it more than a failure. A file of many GB may need many connections.
const ENOUGH_BYTES: u64 = 1 << 20;

/// Fetches `file` into its place.
pub(super) fn download(file: &PlannedFile, session: &Session<'_>) -> Result<()> {
    for path in [&file.path, &file.lock] {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        }
    }
    let _lock = lock(&file.lock, &file.name, session)?;
    // Another process may have had the lock until now.
    if file.found()? == Some(file.bytes) {
        session.counts.add_bytes(file.bytes);
    } else {
        let mut partial = Partial::open(&file.path, file.bytes, &file.checksum)?;
        session.counts.add_bytes(partial.len());
        let mut tries = Tries::new(session, &file.name);
        if let Some(got) = complete(file, &mut partial, &mut tries, session)? {
            begin_anew(&mut partial, None, session)?;
            let problem = format!("{} is {got}, not as announced", file.checksum.kind());
            session.report(Report::Retrying(file.name.clone(), problem, Duration::ZERO));
            if let Some(got) = complete(file, &mut partial, &mut tries, session)? {
                session.counts.take_bytes(partial.len());
                partial.discard()?;
                return Err(mismatch(file, got));
            }
        }
        partial.finish(&file.path)?;
    }
    session.counts.add_files(1);
    let checksum = file.checksum.clone();
    session.report(Report::Fetched(file.name.clone(), checksum));
    Ok(())
}

fn mismatch(file: &PlannedFile, got: String) -> FetchError {
    FetchError::Checksum {
        path: file.path.clone(),
        kind: file.checksum.kind(),
        expected: file.checksum.value().unwrap_or_default().to_owned(),
        got,
    }
}

/// Receives until all bytes are there. Gives their checksum if it is not the expected one.
fn complete(
    file: &PlannedFile,
    partial: &mut Partial,
    tries: &mut Tries<'_>,
    session: &Session<'_>,
) -> Result<Option<String>> {
    loop {
        let before = partial.len();
        let Err(failure) = receive(file, partial, session) else {
            return Ok(partial.mismatch());
        };
        if partial.len() >= before.saturating_add(ENOUGH_BYTES) {
            tries.progressed();
        }
        if let Err(error) = tries.again(failure) {
            partial.keep();
            return Err(error);
        }
    }
}

/// One connection's worth of bytes.
fn receive(
    file: &PlannedFile,
    partial: &mut Partial,
    session: &Session<'_>,
) -> Result<(), Failure> {
    if partial.len() > 0 && file.checksum == Checksum::SizeOnly && partial.etag().is_none() {
        // Nothing could tell bytes of another version apart.
        begin_anew(partial, None, session)?;
    }
    let have = partial.len();
    if have == file.bytes {
        return Ok(());
    }
    let range = format!("bytes={have}-");
    let mut headers = Vec::new();
    if have > 0 {
        headers.push(("range", range.as_str()));
        headers.extend(partial.etag().map(|etag| ("if-range", etag)));
    }
    let got = session.client.get(&file.url, &headers)?;
    match got.status() {
        206 if have > 0 => {
            check_range(&got, have, file.bytes)?;
            let etag = strong_etag(&got);
            if partial.etag().is_some() && etag.is_some() && partial.etag() != etag {
                begin_anew(partial, None, session)?;
                return Err(Failure::again("the file changed on the server"));
            }
        }
        // The whole file: the server cannot resume, or the file has changed.
        200 => begin_anew(partial, strong_etag(&got), session)?,
        status => {
            begin_anew(partial, None, session)?;
            return Err(Failure::again(format!(
                "the server answers {status} to what was asked for"
            )));
        }
    }
    check_length(&got, file.bytes - partial.len())?;
    pour(got, file, partial, session)
}

fn pour(
    got: Answer,
    file: &PlannedFile,
    partial: &mut Partial,
    session: &Session<'_>,
) -> Result<(), Failure> {
    let mut reader = got.into_reader();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = match reader.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.map_err(|error| session.client.dropped(&error))?,
        };
        // A stop can look like an end.
        session.check_stopped()?;
        if read == 0 {
            break;
        }
        if read as u64 > file.bytes - partial.len() {
            begin_anew(partial, None, session)?;
            let problem = format!(
                "the server sends more than the {} bytes it announced",
                file.bytes
            );
            return Err(Failure::again(problem));
        }
        partial.append(&buffer[..read])?;
        session.counts.add_bytes(read as u64);
    }
    if partial.len() < file.bytes {
        let (len, bytes) = (partial.len(), file.bytes);
        return Err(Failure::again(format!(
            "the connection ended after {len} of {bytes} bytes"
        )));
    }
    Ok(())
}

fn begin_anew(partial: &mut Partial, etag: Option<&str>, session: &Session<'_>) -> Result<()> {
    session.counts.take_bytes(partial.len());
    partial.restart(etag)
}

/// A weak one (`W/`) says too little to go on from.
fn strong_etag(got: &Answer) -> Option<&str> {
    got.header("etag").filter(|etag| etag.starts_with('"'))
}

/// `Content-Range` must be what was asked for, to the end.
fn check_range(got: &Answer, have: u64, bytes: u64) -> Result<()> {
    let found = got.header("content-range").unwrap_or("missing");
    let ours = format!("bytes {have}-{}/", bytes - 1);
    let total = found.strip_prefix(&ours);
    if total == Some("*") || total == Some(bytes.to_string().as_str()) {
        return Ok(());
    }
    Err(answer(
        got.url(),
        format!("Content-Range is {found}, expected {ours}{bytes}; try another --endpoint"),
    ))
}

fn check_length(got: &Answer, expected: u64) -> Result<(), Failure> {
    match got.length() {
        Some(length) if length != expected => Err(Failure::again(format!(
            "the server is about to send {length} bytes, expected {expected}"
        ))),
        _ => Ok(()),
    }
}
