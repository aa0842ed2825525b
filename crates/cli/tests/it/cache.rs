//! `cache` as people call it.

use std::path::Path;
use std::process::Output;

use crate::workplace::{assert_refused, braintune, encode, stderr, workplace};

fn cache(folder: &Path, args: &[&str]) -> Output {
    let mut all = vec!["cache"];
    all.extend(args);
    braintune(folder, &all)
}

#[test]
fn a_cache_is_shown_and_cleaned() {
    let folder = workplace();
    let output = cache(folder.path(), &[]);
    assert!(
        output.status.success() && stderr(&output).contains("0 entries, 0 B"),
        "{}",
        stderr(&output)
    );
    assert!(encode(folder.path(), &[]).status.success());
    std::fs::write(folder.path().join("cache/notes.txt"), "mine").unwrap();
    let count = || {
        std::fs::read_dir(folder.path().join("cache"))
            .unwrap()
            .count()
    };
    let shown = stderr(&cache(folder.path(), &[]));
    for part in [
        "features",
        "3 x 16",
        "4 entries",
        "just now",
        "not the cache's",
        "notes.txt",
    ] {
        assert!(shown.contains(part), "expected `{part}` in: {shown}");
    }
    let dry = stderr(&cache(
        folder.path(),
        &["--clean", "--max-size", "0", "--dry-run"],
    ));
    assert!(dry.contains("would remove 4 entries"), "{dry}");
    let fits = stderr(&cache(
        folder.path(),
        &["--clean", "--max-size", "1GB", "--older-than", "30d"],
    ));
    assert!(fits.contains("removed 0 entries"), "{fits}");
    assert_eq!(count(), 5);
    let cleaned = stderr(&cache(folder.path(), &["--dir", "cache", "--clean"]));
    assert!(cleaned.contains("removed 4 entries"), "{cleaned}");
    assert_eq!(count(), 1);
}

#[test]
fn sizes_and_ages_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_refused(
        &cache(folder.path(), &["--clean", "--max-size", "20 parsecs"]),
        &["20 parsecs", "no size"],
    );
    assert_refused(
        &cache(folder.path(), &["--clean", "--older-than", "30"]),
        &["30", "no age"],
    );
    for alone in [&["--max-size", "20GB"][..], &["--dry-run"]] {
        let output = cache(folder.path(), alone);
        assert_eq!(output.status.code(), Some(2), "{alone:?}");
        assert!(stderr(&output).contains("--clean"), "{}", stderr(&output));
    }
    assert!(
        cache(
            folder.path(),
            &["--clean", "--max-size", "1.5GiB", "--older-than", "2w"]
        )
        .status
        .success()
    );
}
