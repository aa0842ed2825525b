//! One GET: redirects, who sees the token, what a status means.
//!
//! The token goes to the endpoint's own scheme, host and port alone, whatever redirects say; never in
//! the clear, but to this machine. `SSL_CERT_FILE` replaces the built-in certificate authorities.

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ureq::http::{Response, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body};
use url::{Host, Url};

use super::FetchConfig;
use super::error::{Failure, FetchError, Result, io_error};
use super::names::shown;
use super::proxy::Proxies;

const MAX_REDIRECTS: usize = 10;
/// Lists and the like: the hub's of a large repository has 1 MB, a page of S3's 0.5 MB.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// An access token of the hub. Shown nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// `text` without the blanks around it.
    ///
    /// # Errors
    /// It is empty or has characters that no token has.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(FetchError::Input(
                "the access token (HF_TOKEN, or the file that `hf auth login` writes) is empty or not plain ASCII"
                    .to_owned(),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The server that lists files, and who we are there.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) endpoint: Url,
    pub(super) token: Option<Token>,
    /// What to do when a file is refused or not there.
    pub(super) advice: String,
}

/// Asks servers.
pub(super) struct Client {
    agent: Agent,
    server: Server,
    proxies: Proxies,
    stopped: Arc<AtomicBool>,
}

/// An answer with a body, or with the part of one that was asked for.
pub(super) struct Answer {
    url: Url,
    response: Response<Body>,
}

impl Client {
    pub(super) fn new(config: &FetchConfig, server: Server) -> Result<Self> {
        let settings = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(config.connect_timeout))
            .timeout_connect(Some(config.connect_timeout))
            .timeout_recv_response(Some(config.stall_timeout))
            .timeout_per_read(Some(config.stall_timeout))
            .timeout_per_write(Some(config.stall_timeout))
            .user_agent(concat!("braintune/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .tls_config(TlsConfig::builder().root_certs(authorities()?).build());
        Ok(Self {
            agent: settings.build().into(),
            server,
            proxies: Proxies::from_env()?,
            stopped: Arc::default(),
        })
    }

    /// Ends what is being asked, from another thread, and all that would be.
    pub(super) fn stopper(&self) -> impl Fn() + use<> {
        let (agent, stopped) = (self.agent.clone(), Arc::clone(&self.stopped));
        move || {
            stopped.store(true, Ordering::SeqCst);
            agent.clone().shutdown();
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// What `url` holds, after at most ten redirects.
    pub(super) fn get(&self, url: &Url, headers: &[(&str, &str)]) -> Result<Answer, Failure> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask(&url, headers)?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return self.judge(url, response);
            }
            url = follow(&url, &response)?;
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(answer(&url, problem).into())
    }

    /// A list or the like, as text.
    pub(super) fn text(&self, url: &Url) -> Result<String, Failure> {
        let got = self.get(url, &[])?;
        let mut bytes = Vec::new();
        let mut reader = got.into_reader().take(MAX_TEXT_BYTES + 1);
        reader
            .read_to_end(&mut bytes)
            .map_err(|error| self.dropped(&error))?;
        if bytes.len() as u64 > MAX_TEXT_BYTES {
            let problem = format!("the list has more than {MAX_TEXT_BYTES} bytes");
            return Err(answer(url, problem).into());
        }
        String::from_utf8(bytes).map_err(|_| answer(url, "the list is no text").into())
    }

    /// What a body's end before its time means.
    pub(super) fn dropped(&self, error: &std::io::Error) -> Failure {
        if self.is_stopped() {
            return FetchError::Cancelled.into();
        }
        Failure::again(format!("the connection broke ({error})"))
    }

    fn ask(&self, url: &Url, headers: &[(&str, &str)]) -> Result<Response<Body>, Failure> {
        if self.is_stopped() {
            return Err(FetchError::Cancelled.into());
        }
        let mut request = self.agent.get(url.as_str());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = self.token_for(url) {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.0));
        }
        let proxy = self.proxies.of_url(url).filter(|_| !is_this_machine(url));
        let request = request.config().proxy(proxy).build();
        request.call().map_err(|error| self.unanswered(url, &error))
    }

    fn token_for(&self, url: &Url) -> Option<&Token> {
        let is_home = url.origin() == self.server.endpoint.origin();
        let is_private = url.scheme() == "https" || is_this_machine(url);
        self.server.token.as_ref().filter(|_| is_home && is_private)
    }

    fn unanswered(&self, url: &Url, error: &ureq::Error) -> Failure {
        use ureq::Error as E;
        if self.is_stopped() {
            return FetchError::Cancelled.into();
        }
        let passes = match error {
            E::Io(io) => io.kind() != std::io::ErrorKind::InvalidData, // a certificate
            other => matches!(
                other,
                E::Timeout(_)
                    | E::HostNotFound
                    | E::ConnectionFailed
                    | E::ConnectProxyFailed(_)
                    | E::Protocol(_)
            ),
        };
        if passes {
            return Failure::again(format!("no answer from {} ({error})", shown(url)));
        }
        let advice = "if a proxy of your network signs connections itself, name its certificates with SSL_CERT_FILE";
        FetchError::Connection {
            url: shown(url),
            problem: format!("{error}; {advice}"),
        }
        .into()
    }

    fn judge(&self, url: Url, response: Response<Body>) -> Result<Answer, Failure> {
        let status = response.status().as_u16();
        let got = Answer { url, response };
        match status {
            200 | 206 | 416 => Ok(got),
            408 | 425 | 429 | 500..=599 => Err(Failure::Again {
                problem: format!("the server answers {status}"),
                after: got.header("retry-after").and_then(retry_after),
            }),
            _ => Err(FetchError::Refused {
                url: shown(&got.url),
                status,
                advice: self.advice(&got.url, status),
            }
            .into()),
        }
    }

    /// What to do; a token that was held back is what is missing.
    fn advice(&self, url: &Url, status: u16) -> String {
        let is_home = url.origin() == self.server.endpoint.origin();
        let has_token = self.server.token.is_some();
        if matches!(status, 401 | 403) && has_token && is_home && self.token_for(url).is_none() {
            return "the access token was not sent, because http would show it to the network; use an https --endpoint".to_owned();
        }
        self.server.advice.clone()
    }
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Bytes of the body, where the server announces them.
    pub(super) fn length(&self) -> Option<u64> {
        self.response.body().content_length()
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn into_reader(self) -> impl Read {
        self.response.into_body().into_reader()
    }
}

/// An answer that is not what it should be.
pub(super) fn answer(url: &Url, problem: impl Into<String>) -> FetchError {
    FetchError::Answer {
        url: shown(url),
        problem: problem.into(),
    }
}

/// Where a redirect leads.
fn follow(from: &Url, response: &Response<Body>) -> Result<Url> {
    let location = response.headers().get(header::LOCATION);
    let to = location
        .and_then(|to| to.to_str().ok())
        .and_then(|to| from.join(to).ok());
    match to {
        None => Err(answer(from, "a redirect that leads nowhere")),
        Some(to) if to.scheme() == "https" || to.scheme() == from.scheme() => Ok(to),
        Some(to) => Err(answer(
            from,
            format!("a redirect from https to {}", shown(&to)),
        )),
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Seconds, or a date.
fn retry_after(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Mozilla's certificate authorities, or those of the file that `SSL_CERT_FILE` names.
fn authorities() -> Result<RootCerts> {
    let Some(path) = std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) else {
        return Ok(RootCerts::WebPki);
    };
    authorities_of(path.as_ref())
}

fn authorities_of(path: &Path) -> Result<RootCerts> {
    let pem = std::fs::read(path).map_err(io_error("read", path))?;
    let certificates = ureq::tls::parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(FetchError::Input(format!(
            "SSL_CERT_FILE names {}, which has no certificate; expected PEM (-----BEGIN CERTIFICATE-----), or unset it",
            path.display()
        )));
    }
    Ok(RootCerts::from(certificates.into_iter()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_seconds_or_dates() {
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::ZERO)
        );
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        let pause = retry_after(&soon).unwrap().as_secs();
        assert!((90..=100).contains(&pause), "{pause}");
        assert_eq!(retry_after("-1"), None);
        assert_eq!(retry_after("soon"), None);
    }

    #[test]
    fn a_token_is_seen_by_the_endpoint_alone_and_not_in_the_clear() {
        let client = |endpoint: &str| {
            let server = Server {
                endpoint: Url::parse(endpoint).unwrap(),
                token: Some(Token::new("hf_x\n").unwrap()),
                advice: String::new(),
            };
            Client::new(&FetchConfig::default(), server).unwrap()
        };
        let sees = |client: &Client, url| client.token_for(&Url::parse(url).unwrap()).is_some();
        let hub = client("https://hub.example/hf");
        assert!(sees(&hub, "https://hub.example/api/x"));
        for url in [
            "https://cdn.example/x",
            "https://hub.example:444/x",
            "http://hub.example/x",
            "https://hub.example.evil.example/x",
            "https://hub.example@evil.example/x",
        ] {
            assert!(!sees(&hub, url), "{url}");
        }
        assert!(!sees(&client("http://hub.example"), "http://hub.example/x"));
        assert!(sees(&client("http://127.0.0.1:1"), "http://127.0.0.1:1/x"));
        let url = Url::parse("http://hub.example/x").unwrap();
        let held_back = client("http://hub.example").advice(&url, 401);
        assert!(held_back.contains("token was not sent"), "{held_back}");
        assert_eq!(client("http://127.0.0.1:1").advice(&url, 401), "");
        assert!(Token::new("").is_err() && Token::new("a b").is_err());
        assert_eq!(format!("{:?}", Token::new("secret").unwrap()), "Token(…)");
    }

    #[test]
    fn a_file_without_certificates_is_said_to_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        for text in ["", "not PEM", "-----BEGIN CERTIFICATE-----\n!"] {
            std::fs::write(&path, text).unwrap();
            let error = authorities_of(&path).unwrap_err().to_string();
            assert!(
                error.contains("ca.pem") && error.contains("SSL_CERT_FILE"),
                "{error}"
            );
        }
        assert!(matches!(
            authorities_of(&folder.path().join("none")),
            Err(FetchError::Io { .. })
        ));
    }
}
