//! One file from a server that drops, stalls, lies and changes its mind.

use std::ops::ControlFlow;
use std::time::Duration;

use braintune::fetch::{FetchError, FetchEvent};

use crate::fetch_place::{FILE, Place, SIZE, quick, refused, whole};
use crate::fetch_server::{Answer, End, bytes, etag};

#[test]
fn a_dropped_connection_is_taken_up_where_it_broke() {
    let place = Place::new(|request, n| (n < 2).then(|| whole(request).cut(100_000)));
    let (result, told) = place.run(&quick());
    result.unwrap();
    place.assert_whole();
    assert_eq!(place.asked(), [0, 100_000, 200_000]);
    let second = &place.server.requests(FILE)[1];
    assert_eq!(second.header("if-range"), Some(etag(&bytes(SIZE)).as_str()));
    let retries = told.iter().filter(|event| event.starts_with("Retrying"));
    assert_eq!(retries.count(), 2, "{told:?}");
}

#[test]
fn what_arrived_is_kept_and_the_next_run_goes_on_from_it() {
    let place = Place::new(|request, n| (n < 4).then(|| whole(request).cut(50_000)));
    let (result, _) = place.run(&quick());
    let error = refused(
        result,
        &[
            "life.hf5",
            "4 tries",
            "the connection broke",
            "200.0 kB are kept",
            "goes on from them",
        ],
    );
    assert!(
        matches!(error, FetchError::GaveUp { attempts: 4, .. }),
        "{error:?}"
    );
    assert_eq!(std::fs::metadata(place.partial()).unwrap().len(), 200_000);
    assert!(!place.file().exists());
    let plan = place.plan();
    assert_eq!(plan.bytes() - plan.bytes_left(), 200_000 + 25 + 13 + 12);
    place.run(&quick()).0.unwrap();
    place.assert_whole();
    assert_eq!(place.asked(), [0, 50_000, 100_000, 150_000, 200_000]);
}

/// Tries that bring more than 1 MiB do not count, or no large file would arrive over a poor line.
#[test]
fn many_drops_of_a_large_file_are_no_reason_to_give_up() {
    const LARGE: usize = 6 << 20;
    let large = bytes(LARGE);
    let place = Place::with_bytes(&large.clone(), move |request, _| {
        Some(Answer::file(request, &large, &etag(&large)).cut((1 << 20) + 1000))
    });
    let mut config = quick();
    config.attempts = 2;
    place.run(&config).0.unwrap();
    assert!(std::fs::read(place.file()).unwrap() == bytes(LARGE));
    assert_eq!(place.asked().len(), 6);
}

#[test]
fn a_server_that_cannot_resume_sends_all_again() {
    let place = Place::new(|request, n| match n {
        0 => Some(whole(request).cut(100_000)),
        _ => Some(Answer::new(200, bytes(SIZE))),
    });
    let mut last = (0, 0);
    let fetched = place.plan().run(&quick(), &mut |event| {
        if let FetchEvent::Fetching {
            bytes_done,
            bytes_total,
            ..
        } = event
        {
            last = (bytes_done, bytes_total);
        }
        ControlFlow::Continue(())
    });
    fetched.unwrap();
    assert_eq!(last.0, last.1, "bytes that were dropped count once");
    place.assert_whole();
    assert_eq!(place.asked(), [0, 100_000]);
}

#[test]
fn a_file_that_changed_meanwhile_begins_anew() {
    let place = Place::new(|request, n| match n {
        0 => {
            let other = vec![7; SIZE];
            Some(Answer::file(request, &other, "\"other\"").cut(100_000))
        }
        _ => None, // knows no "other", so all is sent
    });
    place.run(&quick()).0.unwrap();
    place.assert_whole();
    assert_eq!(place.asked(), [0, 100_000]);
    assert_eq!(
        place.server.requests(FILE)[1].header("if-range"),
        Some("\"other\"")
    );
    // A server that does not look at If-Range is seen through by its etag.
    let place = Place::new(|request, n| {
        let tag = if n == 0 { "\"a\"" } else { "\"b\"" };
        let answer = match request.from() {
            0 => Answer::new(200, bytes(SIZE)),
            from => Answer::new(206, &bytes(SIZE)[from..]).with(
                "Content-Range",
                &format!("bytes {from}-{}/{SIZE}", SIZE - 1),
            ),
        };
        let answer = answer.with("ETag", tag);
        Some(if n == 0 { answer.cut(9) } else { answer })
    });
    place.run(&quick()).0.unwrap();
    place.assert_whole();
    assert_eq!(place.asked(), [0, 9, 0]);
}

#[test]
fn another_range_than_asked_for_is_an_error() {
    for range in [
        "bytes 0-299999/300000",
        "bytes 100000-299999/300001",
        "nonsense",
    ] {
        let place = Place::new(move |request, n| match n {
            0 => Some(whole(request).cut(100_000)),
            _ => Some(Answer::new(206, &bytes(SIZE)[100_000..]).with("Content-Range", range)),
        });
        let (result, _) = place.run(&quick());
        refused(
            result,
            &["Content-Range", range, "bytes 100000-299999/300000"],
        );
        assert!(!place.file().exists());
    }
}

#[test]
fn lengths_that_are_lies_are_seen_before_or_after() {
    for (announced, parts) in [
        (SIZE + 1, ["300001 bytes", "expected 300000"]),
        (SIZE - 1, ["299999 bytes", "expected 300000"]),
    ] {
        let place = Place::new(move |request, _| Some(whole(request).length(Some(announced))));
        refused(place.run(&quick()).0, &parts);
        assert!(!place.file().exists());
    }
    // Without an announcement, the end of the connection is the end of the file.
    let place = Place::new(|request, n| {
        let answer = whole(request).length(None);
        Some(if n == 0 { answer.cut(9) } else { answer })
    });
    place.run(&quick()).0.unwrap();
    place.assert_whole();
    assert_eq!(place.asked(), [0, 9]);
}

#[test]
fn a_body_without_end_is_not_followed() {
    let place = Place::new(|request, _| Some(whole(request).length(None).end(End::Again)));
    let parts = ["more than the 300000 bytes", "nothing of it has arrived"];
    refused(place.run(&quick()).0, &parts);
    assert!(!place.file().exists());
    assert_eq!(std::fs::metadata(place.partial()).unwrap().len(), 0);
}

#[test]
fn a_server_that_falls_silent_is_left() {
    let place = Place::new(|request, n| match n {
        0 => Some(whole(request).cut(100_000).end(End::Stall)),
        1 => Some(Answer::new(200, "").length(None).end(End::Stall)),
        _ => None,
    });
    let mut config = quick();
    config.stall_timeout = Duration::from_millis(300);
    config.attempts = 10; // on a busy machine, more than the two may be late
    place
        .plan()
        .run(&config, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    // A busy machine may be late for other answers, too.
    let asked = place.asked();
    assert_eq!(asked[0], 0);
    assert!(asked.contains(&100_000), "{asked:?}");
    place.assert_whole();
}

#[test]
fn what_will_not_pass_is_not_tried_again_and_does_not_stop_the_others() {
    for (status, part) in [(404, "another --endpoint"), (410, "answers 410")] {
        let place = Place::new(move |_, _| Some(Answer::new(status, "no")));
        let (result, told) = place.run(&quick());
        let error = refused(result, &["life.hf5", part]);
        assert!(matches!(error, FetchError::Refused { status: s, .. } if s == status));
        assert_eq!(place.asked(), [0]);
        assert!(
            told.iter().any(|event| event.starts_with("Failed")),
            "{told:?}"
        );
        assert!(place.folder.path().join("stimuli/life.wav").exists());
    }
}

#[test]
fn a_busy_server_is_given_the_time_it_asks_for() {
    let place = Place::new(|_, n| match n {
        0 => Some(Answer::new(429, "slow down").with("Retry-After", "7")),
        1 => Some(Answer::new(503, "busy")),
        _ => None,
    });
    let (result, told) = place.run(&quick());
    result.unwrap();
    place.assert_whole();
    assert!(
        told.iter()
            .any(|event| event.contains("429") && event.contains("pause: 7s")),
        "{told:?}"
    );
    assert!(told.iter().any(|event| event.contains("503")), "{told:?}");
    let place = Place::new(|_, _| Some(Answer::new(429, "").with("Retry-After", "3600")));
    let (result, _) = place.run(&quick());
    refused(result, &["wait 3600 s", "429", "later"]);
    assert_eq!(place.asked(), [0]);
}

#[test]
fn wrong_bytes_are_fetched_once_more_then_named() {
    let wrong = || {
        let mut wrong = bytes(SIZE);
        wrong[17] ^= 1;
        wrong
    };
    let place = Place::new(move |_, n| (n == 0).then(|| Answer::new(200, wrong())));
    let (result, told) = place.run(&quick());
    result.unwrap();
    place.assert_whole();
    assert!(
        told.iter().any(|event| event.contains("not as announced")),
        "{told:?}"
    );
    let place = Place::new(move |_, _| Some(Answer::new(200, wrong())));
    let (expected, got) = (etag(&bytes(SIZE)), etag(&wrong()));
    let parts = [
        "life.hf5",
        "md5",
        expected.trim_matches('"'),
        got.trim_matches('"'),
    ];
    let error = refused(place.run(&quick()).0, &parts);
    assert!(matches!(error, FetchError::Checksum { .. }));
    assert_eq!(place.asked(), [0, 0]);
    assert!(!place.file().exists() && !place.partial().exists());
}

/// Wrong bytes of an interrupted run are found out, too: they are hashed before the rest is.
#[test]
fn a_damaged_partial_file_costs_one_more_try() {
    let place = Place::new(|request, n| (n < 4).then(|| whole(request).cut(50_000)));
    place.run(&quick()).0.unwrap_err();
    let mut partial = std::fs::read(place.partial()).unwrap();
    partial[3] ^= 1;
    std::fs::write(place.partial(), partial).unwrap();
    place.run(&quick()).0.unwrap();
    place.assert_whole();
    assert_eq!(place.asked()[4..], [200_000, 0]);
}
