//! Which proxy an address is asked through.
//!
//! `HTTPS_PROXY` or `HTTP_PROXY`, as the address has it, else `ALL_PROXY`; `NO_PROXY` names the hosts that are
//! asked without. Upper case first, as `ureq` has it; an empty variable counts as unset. A proxy that
//! cannot be used is an error: to go past it would show the network what was meant to be hidden from it.

use ureq::Proxy;
use url::Url;

use super::error::{FetchError, Result};

/// A proxy for each of the two schemes.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
}

impl Proxies {
    pub(super) fn from_env() -> Result<Self> {
        Self::of(|name| std::env::var(name).ok())
    }

    fn of(get: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let get = |name: &str| {
            let names = [name.to_owned(), name.to_lowercase()];
            let mut values = names.into_iter().filter_map(|name| {
                let value = get(&name).filter(|value| !value.trim().is_empty())?;
                Some((name, value))
            });
            values.next()
        };
        let except = get("NO_PROXY").map_or_else(String::new, |(_, hosts)| hosts);
        let of = |name: &str| {
            let found = get(name).or_else(|| get("ALL_PROXY"));
            found
                .map(|(name, address)| proxy(&name, address.trim(), &except))
                .transpose()
        };
        Ok(Self {
            https: of("HTTPS_PROXY")?,
            http: of("HTTP_PROXY")?,
        })
    }

    pub(super) fn of_url(&self, url: &Url) -> Option<Proxy> {
        let is_https = url.scheme() == "https";
        let proxy = if is_https { &self.https } else { &self.http };
        proxy.clone()
    }
}

/// The proxy at `address`, but for the hosts of `except`.
fn proxy(name: &str, address: &str, except: &str) -> Result<Proxy> {
    // The address may hold a password: it is not shown.
    let unusable = || {
        FetchError::Input(format!(
            "{name} is no proxy that can be used; expected something like http://host:port or socks5h://host:port, or unset it"
        ))
    };
    let proxy = Proxy::new(address).ok();
    let proxy = proxy.filter(|proxy| !proxy.host().is_empty());
    let proxy = proxy.ok_or_else(unusable)?;
    let mut with = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port())
        .resolve_target(proxy.resolve_target());
    if let Some(user) = proxy.username() {
        with = with.username(user);
    }
    if let Some(password) = proxy.password() {
        with = with.password(password);
    }
    for host in except.split(',').map(str::trim) {
        with = with.no_proxy(host);
    }
    with.build().map_err(|_| unusable())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> Result<Proxies> {
        Proxies::of(|name| {
            let found = set.iter().find(|(other, _)| *other == name)?;
            Some(found.1.to_owned())
        })
    }

    fn host(set: &[(&str, &str)], url: &str) -> Option<String> {
        let proxy = of(set).unwrap().of_url(&Url::parse(url).unwrap())?;
        Some(proxy.host().to_owned())
    }

    #[test]
    fn the_variable_of_the_scheme_comes_before_the_one_for_all() {
        let set = [
            ("ALL_PROXY", "socks5h://all:1080"),
            ("https_proxy", "http://secure:3128"),
            ("HTTP_PROXY", ""),
        ];
        assert_eq!(host(&set, "https://a.example").unwrap(), "secure");
        assert_eq!(host(&set, "http://a.example").unwrap(), "all");
        assert_eq!(host(&[], "http://a.example"), None);
        let proxies = of(&set).unwrap();
        let socks = proxies.http.unwrap();
        assert_eq!(socks.protocol(), ureq::ProxyProtocol::Socks5h);
        assert_eq!(socks.port(), 1080);
    }

    #[test]
    fn users_and_hosts_without_proxy_are_kept() {
        let set = [
            ("ALL_PROXY", "http://me:p%40ss@[::1]:8080"),
            ("no_proxy", "plain.example, .inside.example"),
        ];
        let proxy = of(&set).unwrap().https.unwrap();
        assert_eq!(
            (proxy.username(), proxy.password()),
            (Some("me"), Some("p@ss"))
        );
        assert_eq!((proxy.host(), proxy.port()), ("[::1]", 8080));
        let goes_past = |url: &str| proxy.is_no_proxy(&url.parse().unwrap());
        assert!(goes_past("https://plain.example/x"));
        assert!(goes_past("https://a.inside.example/x"));
        assert!(!goes_past("https://else.example/x"));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_not_gone_past() {
        for address in ["ftp://me:secret@host:1", "http://", "me:secret@:"] {
            let error = of(&[("ALL_PROXY", address)]).unwrap_err().to_string();
            assert!(error.contains("ALL_PROXY"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
