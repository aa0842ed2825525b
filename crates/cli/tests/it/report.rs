//! `report` as people call it, and its page in a real browser where there is one.

use std::path::Path;
use std::process::{Command, Output};

use braintune::study::StudyResults;

use crate::report_study::{large, small};
use crate::workplace::{assert_refused, braintune, stderr};

fn study(folder: &Path, results: &StudyResults) -> Output {
    let dir = folder.join("study");
    std::fs::create_dir_all(&dir).unwrap();
    let json = serde_json::to_vec(results).unwrap();
    std::fs::write(dir.join("study.json"), json).unwrap();
    braintune(folder, &["report", "study"])
}

#[test]
fn a_study_becomes_a_page_and_the_command_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let output = study(folder.path(), &small());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("wrote study/report.html"));
    let first = std::fs::read(folder.path().join("study/report.html")).unwrap();
    let again = braintune(folder.path(), &["report", "study"]);
    assert!(again.status.success(), "{}", stderr(&again));
    let second = std::fs::read(folder.path().join("study/report.html")).unwrap();
    assert!(first == second, "same results, same bytes");
}

#[test]
fn what_is_no_folder_of_results_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    let run = |name: &str| braintune(folder.path(), &["report", name]);
    assert_refused(&run("gone"), &["gone", "is no folder"]);
    assert_refused(&run("empty"), &["no study.json, no alignment.csv"]);
    std::fs::write(
        folder.path().join("empty/study.json"),
        "{\"schema_version\": 99}",
    )
    .unwrap();
    assert_refused(
        &run("empty"),
        &["study.json", "schema_version 99", "reads 1"],
    );
}

/// A browser of the Chromium family, if any is installed.
fn chromium() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(|name| {
        let version = Command::new(name).arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    })
}

/// Runs the browser without network on a page of `dir`.
fn browse(browser: &str, dir: &Path, page: &str, more: &[&str]) -> Output {
    let profile = tempfile::tempdir().unwrap();
    let profile = format!("--user-data-dir={}", profile.path().display());
    let page = format!(
        "file://{}",
        dir.join(page).canonicalize().unwrap().display()
    );
    Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--no-pdf-header-footer",
            // No name is found and no proxy is there: what a page asked for would fail.
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--proxy-server=127.0.0.1:9",
            "--allow-file-access-from-files",
            "--enable-logging=stderr",
            &profile,
        ])
        .args(more)
        .arg(&page)
        .output()
        .unwrap()
}

/// A page that opens the report three times and tells of it in one line.
const CHECK: &str = r"<!doctype html><body><script>
const times = [];
function open() {
  const frame = document.createElement('iframe');
  frame.style = 'width:1180px;height:900px';
  const start = performance.now();
  frame.onload = () => {
    const page = frame.contentDocument;
    const marks = [...page.querySelectorAll('.panels svg, .keys svg, figure img')];
    const empty = marks.filter(mark => {
      const box = mark.getBoundingClientRect();
      return !(box.width > 0 && box.height > 0);
    });
    times.push(performance.now() - start);
    const loaded = frame.contentWindow.performance.getEntriesByType('resource');
    const wide = page.documentElement.scrollWidth > 1180;
    // Before this frame goes: a page without frames that load is done, and the browser leaves.
    if (times.length < 3) open();
    frame.style = 'display:none';
    if (times.length < 3) return;
    document.title = 'ms=' + Math.round(Math.min(...times)) + ' marks=' + marks.length +
      ' empty=' + empty.length + ' loaded=' + loaded.length + ' wide=' + wide + ' end';
  };
  frame.src = 'report.html';
  document.body.append(frame);
}
open();
</script></body>";

/// Where pictures of pages go, to be looked at.
fn pictures() -> std::path::PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report-pictures");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn pictured(browser: &str, dir: &Path, name: &str) {
    let folder = pictures();
    for (look, scheme) in [("light", 1), ("dark", 0)] {
        let path = folder.join(format!("{name}-{look}.png"));
        let _ = std::fs::remove_file(&path);
        let to = format!("--screenshot={}", path.display());
        let scheme = format!("--blink-settings=preferredColorScheme={scheme}");
        let more = [&to[..], &scheme, "--window-size=1180,9000"];
        browse(browser, dir, "report.html", &more);
        let png = std::fs::read(&path).unwrap();
        assert!(
            png.starts_with(b"\x89PNG") && png.len() > 100_000,
            "{name} {look}"
        );
    }
    let path = folder.join(format!("{name}.pdf"));
    let _ = std::fs::remove_file(&path);
    let to = format!("--print-to-pdf={}", path.display());
    browse(browser, dir, "report.html", &[&to]);
    let pdf = std::fs::read(&path).unwrap();
    assert!(pdf.starts_with(b"%PDF") && pdf.len() > 100_000, "{name}");
}

// One test, so that no other browser runs while times are taken. CI runs it alone, with BRAINTUNE_BROWSER=1, where it
// must not be left out.
#[test]
#[allow(clippy::print_stderr)]
fn a_report_in_a_browser_is_whole_quiet_and_fast() {
    let alone = std::env::var_os("BRAINTUNE_BROWSER").is_some();
    let Some(browser) = chromium() else {
        assert!(
            !alone,
            "BRAINTUNE_BROWSER is set, and there is no chromium on PATH"
        );
        eprintln!("SKIPPED: the report in a browser, because there is no chromium on PATH");
        return;
    };
    for (name, results) in [("small", small()), ("large", large())] {
        let folder = tempfile::tempdir().unwrap();
        let output = study(folder.path(), &results);
        assert!(output.status.success(), "{}", stderr(&output));
        let dir = folder.path().join("study");
        std::fs::write(dir.join("check.html"), CHECK).unwrap();
        let output = browse(browser, &dir, "check.html", &["--dump-dom"]);
        let dom = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = stderr(&output);
        assert!(!log.contains("CONSOLE"), "{log}");
        let found = |key: &str| -> String {
            let at = dom
                .find(&format!("{key}="))
                .unwrap_or_else(|| panic!("{dom}\n{log}"));
            let value = &dom[at + key.len() + 1..];
            value[..value.find(' ').unwrap()].to_owned()
        };
        let ms: f64 = found("ms").parse().unwrap();
        let marks: usize = found("marks").parse().unwrap();
        eprintln!("{name}: {marks} pictures, shown in {ms} ms");
        assert!(marks > 30, "{marks}");
        assert_eq!(found("empty"), "0", "figures without size");
        assert_eq!(found("loaded"), "0", "a report loads nothing");
        assert_eq!(found("wide"), "false", "nothing runs out of the page");
        // Times of a shared machine are said, not held (docs/benchmarks.md).
        pictured(browser, &dir, name);
    }
}
