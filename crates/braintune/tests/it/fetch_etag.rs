//! Files without a checksum on the server: only their etags tell versions apart.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use braintune::fetch::FetchError;

use crate::fetch_place::{FILE, Place, SIZE, quick, refused};
use crate::fetch_server::{Answer, Request, bucket, bytes, dataset};

/// Etags as S3 has them for uploads in two parts.
const LISTED: &str = "\"0123456789abcdef0123456789abcdef-2\"";
const OTHER: &str = "\"fedcba9876543210fedcba9876543210-2\"";

/// A place whose list has the etag in `listed` for the responses.
fn place(
    listed: &Arc<Mutex<&'static str>>,
    fault: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static,
) -> Place {
    let listed = Arc::clone(listed);
    Place {
        folder: tempfile::tempdir().unwrap(),
        server: bucket(dataset(&bytes(SIZE)), 1000, move |request, n| {
            if request.path.ends_with(FILE) {
                return fault(request, n);
            }
            let prefix = request.query("prefix")?;
            let key = "ds003020/derivative/preprocessed_data/UTS01/life.hf5";
            let tag = listed.lock().unwrap();
            prefix.contains("preprocessed_data").then(|| {
                Answer::new(
                    200,
                    format!("<ListBucketResult><Contents><Key>{key}</Key><ETag>{tag}</ETag><Size>{SIZE}</Size></Contents></ListBucketResult>"),
                )
            })
        }),
    }
}

fn listed() -> Arc<Mutex<&'static str>> {
    Arc::new(Mutex::new(LISTED))
}

/// All of it, or what is asked for, whatever `If-Range` says.
fn from(request: &Request, tag: Option<&str>) -> Answer {
    let answer = match request.from() {
        0 => Answer::new(200, bytes(SIZE)),
        from => Answer::new(206, &bytes(SIZE)[from..]).with(
            "Content-Range",
            &format!("bytes {from}-{}/{SIZE}", SIZE - 1),
        ),
    };
    match tag {
        Some(tag) => answer.with("ETag", tag),
        None => answer,
    }
}

#[test]
fn a_part_goes_on_only_with_the_same_etag() {
    for (second, asked) in [
        (Some(LISTED), &[0, 100_000][..]),
        (Some(OTHER), &[0, 100_000, 0][..]),
        (None, &[0, 100_000, 0][..]),
    ] {
        let place = place(&listed(), move |request, n| {
            Some(match n {
                0 => from(request, Some(LISTED)).cut(100_000),
                1 => from(request, second),
                _ => from(request, Some(LISTED)),
            })
        });
        let (result, _) = place.run(&quick());
        let name = "derivative/preprocessed_data/UTS01/life.hf5";
        assert_eq!(result.unwrap().size_only, [name]);
        place.assert_whole();
        assert_eq!(place.asked(), asked, "{second:?}");
        // There now, and not compared: that is said.
        let again = place
            .plan()
            .run(&quick(), &mut |_| ControlFlow::Continue(()));
        let again = again.unwrap();
        assert_eq!((again.n_files, again.size_only.len()), (0, 0));
        assert_eq!(again.not_compared, [name]);
    }
}

#[test]
fn another_version_than_the_listed_one_is_an_error() {
    let place = place(&listed(), |request, _| Some(from(request, Some(OTHER))));
    let parts = ["life.hf5", OTHER, LISTED, "changed on the server"];
    refused(place.run(&quick()).0, &parts);
    assert_eq!(place.asked(), [0]);
    assert!(!place.file().exists());
}

#[test]
fn what_is_left_of_another_version_is_dropped() {
    let tag = listed();
    let now = Arc::clone(&tag);
    let place = place(&tag, move |request, n| {
        let answer = from(request, Some(*now.lock().unwrap()));
        Some(if n < 4 { answer.cut(50_000) } else { answer })
    });
    place.run(&quick()).0.unwrap_err();
    assert_eq!(std::fs::metadata(place.partial()).unwrap().len(), 200_000);
    *tag.lock().unwrap() = OTHER;
    place.run(&quick()).0.unwrap();
    place.assert_whole();
    assert_eq!(place.asked(), [0, 50_000, 100_000, 150_000, 0]);
}

/// A page of a network that asks to log in, with and without its length.
#[test]
fn a_web_page_in_place_of_the_file_costs_nothing_that_has_arrived() {
    for length in [Some(26), None] {
        let place = place(&listed(), move |request, n| {
            let page = Answer::new(200, "<html>please log in</html>").length(length);
            Some(match n {
                0 => from(request, Some(LISTED)).cut(100_000),
                1..4 => page.with("Content-Type", "text/html; charset=utf-8"),
                _ => from(request, Some(LISTED)),
            })
        });
        let error = refused(place.run(&quick()).0, &["4 tries", "100.0 kB are kept"]);
        assert!(
            matches!(error, FetchError::GaveUp { kept: 100_000, .. }),
            "{error:?}"
        );
        assert_eq!(std::fs::metadata(place.partial()).unwrap().len(), 100_000);
        place.run(&quick()).0.unwrap();
        place.assert_whole();
        assert_eq!(place.asked()[4..], [100_000]);
    }
}

/// Each answer is longer than the last, and none goes on from it.
#[test]
fn a_file_that_changes_with_each_answer_is_given_up() {
    const LARGE: usize = 12 << 20;
    let large = bytes(LARGE);
    let place = Place::with_bytes(&large.clone(), move |_, n| {
        let answer = Answer::new(200, &large[..]).with("ETag", &format!("\"{n}\""));
        Some(answer.cut(((1 << 20) + 1000) * (n + 1)))
    });
    let mut config = quick();
    config.attempts = 3;
    refused(place.run(&config).0, &["3 tries"]);
    assert_eq!(place.asked().len(), 3);
}
