//! A small HTTP server on this machine whose answers are scripted: it drops, stalls and lies.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a client asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The first byte asked for.
    pub(crate) fn from(&self) -> usize {
        let range = self.header("range").and_then(|range| {
            let range = range.strip_prefix("bytes=")?;
            range.strip_suffix('-')?.parse().ok()
        });
        range.unwrap_or(0)
    }

    /// The value of a parameter of the query, decoded.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        let query = self.path.split_once('?')?.1;
        let value = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
        Some(value.replace("%2F", "/"))
    }
}

/// What the server does after the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    /// Says nothing more, and does not close.
    Stall,
    /// Repeats the body until the client goes away.
    Again,
}

/// An answer; its length is what `length` says, if it says something.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) length: Option<usize>,
    pub(crate) end: End,
}

impl Answer {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            status,
            headers: Vec::new(),
            length: Some(body.len()),
            body,
            end: End::Close,
        }
    }

    /// All of `bytes`, or what the request's range asks for if it knows their version.
    pub(crate) fn file(request: &Request, bytes: &[u8], etag: &str) -> Self {
        let from = request.from();
        let is_version = request.header("if-range").is_none_or(|known| known == etag);
        let answer = if from == 0 || !is_version {
            Self::new(200, bytes)
        } else if from >= bytes.len() {
            Self::new(416, "")
        } else {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            Self::new(206, &bytes[from..]).with("Content-Range", &range)
        };
        answer.with("ETag", etag)
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Ends the connection after `n` bytes of the body.
    pub(crate) fn cut(mut self, n: usize) -> Self {
        self.body.truncate(n);
        self
    }

    pub(crate) fn length(mut self, length: Option<usize>) -> Self {
        self.length = length;
        self
    }

    pub(crate) fn end(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

type Script = dyn Fn(&Request, usize) -> Answer + Send + Sync;

/// Answers until the test process ends.
pub(crate) struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `script` gets each request, and how often its path was asked for before.
    pub(crate) fn start(
        script: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log: Arc<Mutex<Vec<Request>>> = Arc::default();
        let script: Arc<Script> = Arc::new(script);
        let shared = Arc::clone(&log);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (script, log) = (Arc::clone(&script), Arc::clone(&shared));
                // A client that goes away is no error of the server.
                std::thread::spawn(move || {
                    let _ = serve(&stream, script.as_ref(), &log);
                });
            }
        });
        Self { address, log }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests so far whose path contains `part`.
    pub(crate) fn requests(&self, part: &str) -> Vec<Request> {
        let log = self.log.lock().unwrap();
        let of_part = log.iter().filter(|request| request.path.contains(part));
        of_part.cloned().collect()
    }
}

fn serve(stream: &TcpStream, script: &Script, log: &Mutex<Vec<Request>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = read_request(&mut reader)?;
    if request.method == "CONNECT" {
        // As a proxy that leads back here.
        log.lock().unwrap().push(request);
        (&mut &*stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        request = read_request(&mut reader)?;
    }
    let before = {
        let mut log = log.lock().unwrap();
        let same = log.iter().filter(|other| other.path == request.path);
        let before = same.count();
        log.push(request.clone());
        before
    };
    write_answer(stream, &script(&request, before))
}

fn read_request(reader: &mut impl BufRead) -> std::io::Result<Request> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next());
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Ok(Request {
        method,
        path: path.unwrap_or_default(),
        headers,
    })
}

fn write_answer(mut stream: &TcpStream, answer: &Answer) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {} Scripted\r\nConnection: close\r\n",
        answer.status
    )?;
    if let Some(length) = answer.length {
        write!(stream, "Content-Length: {length}\r\n")?;
    }
    for (name, value) in &answer.headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")?;
    stream.write_all(&answer.body)?;
    match answer.end {
        End::Close => {}
        End::Stall => std::thread::sleep(Duration::from_secs(20)),
        End::Again => loop {
            stream.write_all(&answer.body)?;
        },
    }
    Ok(())
}

/// Bytes that differ from place to place.
pub(crate) fn bytes(n: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..n).map(|_| next()).collect()
}

/// Files of a bucket by key.
pub(crate) type Keys = HashMap<String, Vec<u8>>;

/// A public bucket like `OpenNeuro`'s, `page` keys at a time; `fault` may answer in its place.
pub(crate) fn bucket(
    keys: Keys,
    page: usize,
    fault: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static,
) -> Server {
    let etags: HashMap<_, _> = keys
        .iter()
        .map(|(key, bytes)| (key.clone(), etag(bytes)))
        .collect();
    Server::start(move |request, n| {
        if let Some(answer) = fault(request, n) {
            return answer;
        }
        if let Some(prefix) = request.query("prefix") {
            let from = request.query("continuation-token");
            let from = from.map_or(0, |from| from.parse().unwrap());
            return Answer::new(200, page_of((&keys, &etags), &prefix, from..from + page));
        }
        let key = request.path.trim_start_matches('/');
        match keys.get(key) {
            Some(bytes) => Answer::file(request, bytes, &etags[key]),
            None => Answer::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
        }
    })
}

/// What S3 gives for an upload in one part.
pub(crate) fn etag(bytes: &[u8]) -> String {
    use md5::Digest;
    format!("\"{}\"", hex::encode(md5::Md5::digest(bytes)))
}

fn page_of(
    (keys, etags): (&Keys, &HashMap<String, String>),
    prefix: &str,
    page: Range<usize>,
) -> String {
    let mut names: Vec<_> = keys.keys().filter(|key| key.starts_with(prefix)).collect();
    names.sort();
    let to = names.len().min(page.end);
    let entries = names[page.start..to].iter().map(|&name| {
        let (tag, size) = (etags[name].replace('"', "&quot;"), keys[name].len());
        format!("<Contents><Key>{name}</Key><ETag>{tag}</ETag><Size>{size}</Size></Contents>")
    });
    let entries: String = entries.collect();
    let more = if to < names.len() {
        format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{to}</NextContinuationToken>"
        )
    } else {
        "<IsTruncated>false</IsTruncated>".to_owned()
    };
    format!("<?xml version=\"1.0\"?>\n<ListBucketResult>{entries}{more}</ListBucketResult>")
}

/// The dataset in small: UTS01 heard both stories, UTS02 one of them.
pub(crate) fn dataset(response: &[u8]) -> Keys {
    let file = |name: &str, bytes: &[u8]| (format!("ds003020/{name}"), bytes.to_vec());
    Keys::from([
        file("derivative/respdict.json", b"{\"life\": 40, \"souls\": 40}"),
        file("derivative/preprocessed_data/UTS01/life.hf5", response),
        file("derivative/preprocessed_data/UTS01/souls.hf5", b"souls 1"),
        file("derivative/preprocessed_data/UTS02/souls.hf5", b"souls 2"),
        file("derivative/TextGrids/life.TextGrid", b"grid of life"),
        file("derivative/TextGrids/souls.TextGrid", b"grid of souls"),
        file("stimuli/life.wav", b"sound of life"),
        file("stimuli/souls.wav", b"sound of souls"),
        file("stimuli/", b""),
    ])
}
