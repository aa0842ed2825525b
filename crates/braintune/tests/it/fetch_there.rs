//! Files of a dataset that are there before, or come from elsewhere meanwhile.

use std::fs;
use std::ops::ControlFlow;

use braintune::fetch::{Ds003020Files, FetchError, FetchEvent, Plan};

use crate::fetch_place::{FILE, Place, SIZE, quick, whole};
use crate::fetch_server::{Answer, bucket, bytes, dataset, etag};

fn put(place: &Place, bytes: &[u8]) {
    fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    fs::write(place.file(), bytes).unwrap();
}

fn plan(
    place: &Place,
    on: &mut dyn FnMut(FetchEvent<'_>) -> ControlFlow<()>,
) -> Result<Plan, FetchError> {
    let files = Ds003020Files::new(place.folder.path(), ["UTS01".to_owned()]).unwrap();
    let files = files.with_endpoint(&place.server.url()).unwrap();
    files.plan(&quick(), on)
}

#[test]
fn a_file_that_is_there_is_compared_with_its_checksum() {
    let place = Place::new(|_, _| None);
    let mut damaged = bytes(SIZE);
    damaged[17] ^= 1;
    put(&place, &damaged);
    let error = plan(&place, &mut |_| ControlFlow::Continue(()));
    let error = error.unwrap_err();
    let (expected, got) = (etag(&bytes(SIZE)), etag(&damaged));
    let message = error.to_string();
    for part in [
        FILE,
        expected.trim_matches('"'),
        got.trim_matches('"'),
        "move or delete",
    ] {
        assert!(message.contains(part), "{message}: no {part:?}");
    }
    assert!(
        matches!(error, FetchError::Differs { kind: "md5", .. }),
        "{error:?}"
    );
    assert_eq!(
        fs::read(place.file()).unwrap(),
        damaged,
        "it is not touched"
    );
}

#[test]
fn a_file_that_is_there_and_sound_is_not_fetched() {
    let place = Place::new(|_, _| None);
    put(&place, &bytes(SIZE));
    let mut last = None;
    let plan = plan(&place, &mut |event| {
        if let FetchEvent::Comparing {
            bytes_done,
            bytes_total,
        } = event
        {
            assert!(bytes_done <= bytes_total);
            last = Some(bytes_done);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(last, Some(SIZE as u64));
    let there = plan
        .unwrap()
        .files()
        .iter()
        .filter(|file| file.already())
        .count();
    assert_eq!(there, 1);
}

#[test]
fn comparing_stops_when_it_is_told_to() {
    // A hole of 64 GiB in a file takes no room, and long to hash.
    const LARGE: u64 = 64 << 30;
    let server = bucket(dataset(b""), 1000, |request, _| {
        let key = "ds003020/derivative/preprocessed_data/UTS01/life.hf5";
        let tag = "5d41402abc4b2a76b9719d911017c592";
        let list = format!(
            "<ListBucketResult><Contents><Key>{key}</Key><ETag>{tag}</ETag><Size>{LARGE}</Size></Contents></ListBucketResult>"
        );
        let prefix = request.query("prefix")?;
        let is_ours = prefix.contains("preprocessed_data");
        is_ours.then(|| Answer::new(200, list))
    });
    let folder = tempfile::tempdir().unwrap();
    let place = Place { folder, server };
    put(&place, b"");
    let file = fs::OpenOptions::new().write(true).open(place.file());
    file.unwrap().set_len(LARGE).unwrap();
    let result = plan(&place, &mut |event| match event {
        FetchEvent::Comparing { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(result, Err(FetchError::Cancelled)), "{result:?}");
}

#[test]
fn what_an_interrupted_run_left_goes_when_the_file_is_whole() {
    let place = Place::new(|request, n| (n < 4).then(|| whole(request).cut(50_000)));
    place.run(&quick()).0.unwrap_err();
    assert!(place.partial().exists());
    // Somebody copies the file there.
    put(&place, &bytes(SIZE));
    let fetched = place.run(&quick()).0.unwrap();
    assert_eq!(fetched.n_files, 0);
    place.assert_whole();
    assert_eq!(place.asked().len(), 4);
}

#[test]
fn a_file_that_appears_after_the_plan_is_not_replaced() {
    let go_on = &mut |_: FetchEvent<'_>| ControlFlow::Continue(());
    let place = Place::new(|_, _| None);
    let before = place.plan();
    put(&place, b"mine");
    let error = before.run(&quick(), go_on).unwrap_err();
    assert!(
        matches!(error, FetchError::Exists { got: 4, .. }),
        "{error:?}"
    );
    assert_eq!(fs::read(place.file()).unwrap(), b"mine");
    assert!(place.asked().is_empty());
    // Or while it is fetched.
    let folder = tempfile::tempdir().unwrap();
    let path = folder
        .path()
        .join("derivative/preprocessed_data/UTS01")
        .join(FILE);
    let server = bucket(dataset(&bytes(SIZE)), 1000, move |request, _| {
        if request.path.ends_with(FILE) {
            fs::write(&path, "mine").unwrap();
        }
        None
    });
    let place = Place { folder, server };
    let error = place.plan().run(&quick(), go_on).unwrap_err();
    assert!(
        matches!(error, FetchError::Exists { got: 4, .. }),
        "{error:?}"
    );
    assert_eq!(fs::read(place.file()).unwrap(), b"mine");
    assert_eq!(fs::metadata(place.partial()).unwrap().len(), SIZE as u64);
}
