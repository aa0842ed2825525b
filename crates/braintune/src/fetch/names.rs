//! Names from servers and people, before they become parts of paths and addresses.

use url::Url;

use super::error::{FetchError, Result};

/// Whether `name` is a plain file name: no folder in it, not hidden, nothing that a file system or an
/// address reads in its own way.
pub(super) fn is_plain(name: &str) -> bool {
    let is_allowed = |c: char| !c.is_control() && !r#"/\:*?"<>|#%"#.contains(c);
    !name.is_empty() && name.len() <= 200 && !name.starts_with('.') && name.chars().all(is_allowed)
}

/// Whether `path`, of any file that a server may list, stays inside its folder.
pub(super) fn is_inside(path: &str) -> bool {
    let is_name = |part: &str| !matches!(part, "" | "." | "..");
    path.split('/').all(is_name) && !path.contains(|c: char| c == '\\' || c.is_control())
}

/// Whether `path` is plain names with `/` between them.
pub(super) fn is_plain_path(path: &str) -> bool {
    path.split('/').all(is_plain)
}

/// An address without its query, which may hold a signature that opens a file.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_password(None); // an address without a host has none
    url.to_string()
}

/// The base of a server's addresses, `http` or `https`.
pub(super) fn endpoint(text: &str) -> Result<Url> {
    let problem = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "it is neither http nor https",
        Ok(url) if url.query().is_some() || url.fragment().is_some() => "it has a query",
        Ok(url) => return Ok(url),
        Err(_) => "it is no address",
    };
    Err(FetchError::Input(format!(
        "cannot use the endpoint {text:?}: {problem}; expected something like https://huggingface.co"
    )))
}

/// `base` with `parts` after its path, each one percent-encoded where needed.
pub(super) fn join<'p>(base: &Url, parts: impl IntoIterator<Item = &'p str>) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_become_paths() {
        for name in ["config.json", "a b", "wheretheressmoke.hf5", "ärzte.wav"] {
            assert!(is_plain(name), "{name}");
        }
        let long = "a".repeat(201);
        for name in [
            "", ".", "..", ".bashrc", "a/b", "a\\b", "C:x", "a\0b", "a\nb", "a%2f", &long,
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
        assert!(is_plain_path("refs/pr/1"));
        assert!(is_inside(".gitattributes") && is_inside("runs/a:b"));
        for path in ["/etc/passwd", "../x", "a/../b", "a//b", "a\\..\\b", "a\0"] {
            assert!(!is_inside(path), "{path:?}");
        }
        for path in ["/etc/passwd", "a//b", "a/../b", "a/", "a/.git/x"] {
            assert!(!is_plain_path(path), "{path}");
        }
    }

    #[test]
    fn addresses_keep_the_path_of_a_mirror_and_hide_signatures() {
        let base = endpoint("https://mirror.example/hf/").unwrap();
        let url = join(&base, ["org", "a b+c", "x.json"]);
        assert_eq!(url.as_str(), "https://mirror.example/hf/org/a%20b+c/x.json");
        let signed = Url::parse("https://u:secret@h/x?Signature=abc#f").unwrap();
        assert_eq!(shown(&signed), "https://u@h/x");
        for text in ["huggingface.co", "ftp://x/y", "https://x/?a=b", ""] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }
}
