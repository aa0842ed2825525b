//! The book in `docs/`, the READMEs and the changelog: every link inside the repository leads somewhere.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

#[test]
fn links_lead_to_files_and_headings_that_are_there() {
    let root = root();
    let mut pages = markdown_in(&root);
    for folder in ["docs", "tools", "examples", "fuzz"] {
        pages.extend(markdown_in(&root.join(folder)));
    }
    for krate in fs::read_dir(root.join("crates")).unwrap() {
        pages.extend(markdown_in(&krate.unwrap().path()));
    }
    assert!(pages.len() > 20, "only {pages:?}");
    let dead: Vec<String> = pages.iter().flat_map(|page| dead_links(page)).collect();
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}

#[test]
fn every_page_of_docs_is_a_chapter_of_the_book() {
    let docs = root().join("docs");
    let summary = docs.join("SUMMARY.md");
    let chapters: HashSet<PathBuf> = links(&fs::read_to_string(&summary).unwrap())
        .into_iter()
        .map(|link| docs.join(link))
        .collect();
    for page in markdown_in(&docs) {
        assert!(
            page == summary || chapters.contains(&page),
            "{} is not in SUMMARY.md",
            page.display()
        );
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect()
}

/// Each link of `page` that leads nowhere, in words.
fn dead_links(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let dead = links(&text).into_iter().filter(|link| !leads(page, link));
    dead.map(|link| format!("{}: {link}", page.display()))
        .collect()
}

fn leads(page: &Path, link: &str) -> bool {
    if link.contains("://") || link.starts_with("mailto:") {
        return true;
    }
    let (file, heading) = link.split_once('#').unwrap_or((link, ""));
    let target = if file.is_empty() {
        page.to_path_buf()
    } else {
        page.parent().unwrap().join(file)
    };
    target.exists()
        && (heading.is_empty() || anchors(&fs::read_to_string(&target).unwrap()).contains(heading))
}

/// Where the links and pictures of a page lead.
fn links(text: &str) -> Vec<String> {
    Parser::new_ext(text, Options::ENABLE_TABLES)
        .filter_map(|event| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(dest_url.to_string())
            }
            _ => None,
        })
        .collect()
}

/// The anchors of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> HashSet<String> {
    let mut anchors = HashSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let title = heading.take().unwrap_or_default().to_lowercase();
                let kept = title.chars().filter_map(|letter| match letter {
                    ' ' => Some('-'),
                    '-' | '_' => Some(letter),
                    _ => letter.is_alphanumeric().then_some(letter),
                });
                anchors.insert(kept.collect());
            }
            Event::Text(part) | Event::Code(part) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&part);
                }
            }
            _ => {}
        }
    }
    anchors
}
