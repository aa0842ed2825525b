//! One file: lock, resume, receive, compare, put in its place.

use std::fs;
use std::io::{ErrorKind, Read};
use std::time::Duration;

use super::Checksum;
use super::client::{Answer, answer};
use super::error::{Failure, FetchError, Result, io_error};
use super::lock::lock;
use super::partial::{Partial, clear};
use super::plan::PlannedFile;
use super::retry::Tries;
use super::session::{Report, Session};
use super::there::is_there;

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
    if is_there(file, session)? {
        clear(&file.path)?;
        if file.already {
            return Ok(()); // it was counted
        }
        session.counts.add_bytes(file.bytes);
    } else {
        fetch(file, session)?;
    }
    session.counts.add_files(1);
    let checksum = file.checksum.clone();
    session.report(Report::Fetched(file.name.clone(), checksum));
    Ok(())
}

fn fetch(file: &PlannedFile, session: &Session<'_>) -> Result<()> {
    let mut partial = Partial::open(file, &|| session.check_stopped())?;
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
    // Nothing that somebody put there meanwhile is replaced.
    if is_there(file, session)? {
        return partial.discard();
    }
    partial.finish(&file.path)
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
        let (before, drops) = (partial.len(), partial.drops());
        let Err(failure) = receive(file, partial, session) else {
            return Ok(partial.mismatch());
        };
        // Bytes in place of others are no progress: a file that changes with each answer would never end.
        let is_longer = partial.len() >= before.saturating_add(ENOUGH_BYTES);
        if is_longer && partial.drops() == drops {
            tries.progressed();
        }
        if let Err(error) = tries.again(failure, partial.len()) {
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
            if let Some(problem) = other_version(strong_etag(&got), partial, &file.checksum) {
                begin_anew(partial, None, session)?;
                return Err(Failure::again(problem));
            }
        }
        // The whole file: the server cannot resume, or the file has changed. Or a page of a network that
        // asks to log in: what is here already is dropped only for what can be the file.
        200 => {
            check_whole(&got, file)?;
            begin_anew(partial, strong_etag(&got), session)?;
        }
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

/// Why a part of a file with `etag` does not go with what is here.
fn other_version(
    etag: Option<&str>,
    partial: &Partial,
    checksum: &Checksum,
) -> Option<&'static str> {
    match (partial.etag(), etag) {
        (Some(ours), Some(etag)) if ours != etag => Some("the file changed on the server"),
        (Some(_), Some(_)) => None,
        // A checksum would tell at the end.
        _ if *checksum != Checksum::SizeOnly => None,
        _ => Some("the server does not say which version of the file it goes on with"),
    }
}

/// Whether an answer can be all of `file`.
fn check_whole(got: &Answer, file: &PlannedFile) -> Result<(), Failure> {
    check_length(got, file.bytes)?;
    let content = got.header("content-type").unwrap_or_default();
    if got.length().is_none() && content.starts_with("text/html") {
        return Err(Failure::again(
            "the answer is a web page, not the file: does the network ask to log in?",
        ));
    }
    let (listed, found) = (file.etag.as_deref(), strong_etag(got));
    match (listed, found) {
        (Some(listed), Some(found)) if listed != found && file.checksum == Checksum::SizeOnly => {
            let problem = format!(
                "the file's etag is {found}, the list has {listed}: it changed on the server; run the same again"
            );
            Err(answer(got.url(), problem).into())
        }
        _ => Ok(()),
    }
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
