//! Lists of a public S3 bucket: `ListObjectsV2`, page by page.

use roxmltree::{Document, Node};
use url::Url;

use super::client::answer;
use super::error::{FetchError, Result};
use super::names::{join, shown};
use super::retry::retried;
use super::session::Session;

/// Pages of 1000 keys; a bucket that never ends must not be read for ever.
const MAX_PAGES: usize = 1000;
/// Keys of all lists of a fetch: ds003020 has some thousand.
const MAX_KEYS: usize = 100_000;

/// A file in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Object {
    pub(super) key: String,
    pub(super) bytes: u64,
    pub(super) etag: String,
}

/// One page of a list, and what asks for the next.
#[derive(Debug)]
struct Page {
    objects: Vec<Object>,
    next: Option<String>,
}

/// All objects whose keys begin with `prefix`.
pub(super) fn list(session: &Session<'_>, bucket: &Url, prefix: &str) -> Result<Vec<Object>> {
    let mut objects = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let mut url = join(bucket, [""]);
        url.query_pairs_mut()
            .append_pair("list-type", "2")
            .append_pair("prefix", prefix);
        if let Some(token) = &next {
            url.query_pairs_mut()
                .append_pair("continuation-token", token);
        }
        let name = format!("the list of {prefix}");
        let text = retried(session, &name, || session.client.text(&url))?;
        let page = read(&text).map_err(|problem| answer(&url, problem))?;
        session.counts.add_files(page.objects.len());
        if session.counts.files() > MAX_KEYS {
            let problem =
                format!("the lists have more than {MAX_KEYS} files; try another --endpoint");
            return Err(answer(&url, problem));
        }
        objects.extend(page.objects);
        if page.next.is_none() {
            return Ok(objects);
        }
        if page.next == next {
            return Err(answer(&url, "the list's pages go round in a circle"));
        }
        next = page.next;
    }
    Err(FetchError::Answer {
        url: shown(bucket),
        problem: format!("the list of {prefix} has more than {MAX_PAGES} pages"),
    })
}

fn read(text: &str) -> Result<Page, String> {
    // No DTD is read, so no entity can grow.
    let document = Document::parse(text).map_err(|e| format!("is no list of files: {e}"))?;
    let root = document.root_element();
    if root.tag_name().name() != "ListBucketResult" {
        let found = root.tag_name().name();
        return Err(format!(
            "is no list of files: <{found}>, expected <ListBucketResult>"
        ));
    }
    let entries = root
        .children()
        .filter(|node| node.tag_name().name() == "Contents");
    let objects = entries
        .map(|entry| object(entry))
        .collect::<Result<_, _>>()?;
    let next = match child(root, "IsTruncated") {
        Some("true") => Some(
            child(root, "NextContinuationToken")
                .ok_or("is a list with more pages but no NextContinuationToken")?
                .to_owned(),
        ),
        _ => None,
    };
    Ok(Page { objects, next })
}

fn object(entry: Node<'_, '_>) -> Result<Object, String> {
    let key = child(entry, "Key").ok_or("is a list with an entry without Key")?;
    let size = child(entry, "Size").unwrap_or("missing");
    let bytes = size
        .parse()
        .map_err(|_| format!("is a list in which the size of {key} is {size}"))?;
    Ok(Object {
        key: key.to_owned(),
        bytes,
        etag: child(entry, "ETag").unwrap_or_default().to_owned(),
    })
}

/// The text of the first child of that name.
fn child<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let mut children = node.children();
    children
        .find(|child| child.tag_name().name() == name)?
        .text()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// As the documentation of `ListObjectsV2` shows it.
    const LIST: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>openneuro.org</Name><Prefix>p</Prefix><KeyCount>1</KeyCount><MaxKeys>1</MaxKeys>
  <IsTruncated>true</IsTruncated><NextContinuationToken>1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=</NextContinuationToken>
  <Contents><Key>p/a &amp; b</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>
    <ETag>&quot;fba9dede5f27731c9771645a39863328&quot;</ETag><Size>434234</Size></Contents>
</ListBucketResult>"#;

    #[test]
    fn lists_are_read_as_s3_writes_them() {
        let page = read(LIST).unwrap();
        let expected = Object {
            key: "p/a & b".to_owned(),
            bytes: 434_234,
            etag: "\"fba9dede5f27731c9771645a39863328\"".to_owned(),
        };
        assert_eq!(page.objects, [expected]);
        let next = "1ueGcxLPRx1Tr/XYExHnhbYLgveDs2J/wm36Hy4vbOwM=";
        assert_eq!(page.next.as_deref(), Some(next));
        let last = LIST.replace("<IsTruncated>true", "<IsTruncated>false");
        assert!(read(&last).unwrap().next.is_none());
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let bomb = r#"<!DOCTYPE x [<!ENTITY a "aaaa">]><ListBucketResult>&a;</ListBucketResult>"#;
        let deep = "<a>".repeat(1_000_000);
        for (text, part) in [
            (deep.as_str(), "no list"),
            ("<html><body>log in</body></html>", "<html>"),
            ("{}", "no list"),
            ("", "no list"),
            (bomb, "no list"),
            (&LIST.replace("434234", "-1"), "size of p/a & b is -1"),
            (&LIST.replace("Key>", "Kay>"), "without Key"),
            (&LIST.replace("NextContinuationToken", "Next"), "more pages"),
            (&LIST[..300], "no list"),
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }
}
