//! Runs of a plan: what is there before, who else is at it, when it ends.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};

use braintune::fetch::{Ds003020Files, FetchError, FetchEvent, PlannedFile};

use crate::fetch_place::{Place, SIZE, quick, whole};
use crate::fetch_server::{Answer, End, bucket, bytes, dataset};

#[test]
fn files_arrive_whole_and_are_not_fetched_again() {
    let place = Place::new(|_, _| None);
    let plan = place.plan();
    let names: Vec<_> = plan.files().iter().map(PlannedFile::name).collect();
    assert_eq!(
        names,
        [
            "derivative/respdict.json",
            "derivative/preprocessed_data/UTS01/life.hf5",
            "stimuli/life.wav",
            "derivative/TextGrids/life.TextGrid"
        ]
    );
    let total = SIZE + 25 + 13 + 12;
    assert_eq!(
        (plan.bytes(), plan.bytes_left()),
        (total as u64, total as u64)
    );
    assert_eq!(
        std::fs::read_dir(place.folder.path()).unwrap().count(),
        0,
        "a plan writes nothing"
    );
    let mut last = None;
    let fetched = plan.run(&quick(), &mut |event| {
        if let FetchEvent::Fetching {
            bytes_done,
            bytes_total,
            files_done,
            n_files,
            ..
        } = event
        {
            last = Some((bytes_done, bytes_total, files_done, n_files));
        }
        ControlFlow::Continue(())
    });
    let fetched = fetched.unwrap();
    assert_eq!((fetched.n_files, fetched.bytes), (4, total as u64));
    assert_eq!(last, Some((total as u64, total as u64, 4, 4)));
    assert!(fetched.size_only.is_empty());
    place.assert_whole();
    let again = place.plan();
    assert!(again.files().iter().all(PlannedFile::already));
    assert_eq!(again.bytes_left(), 0);
    assert_eq!(
        again
            .run(&quick(), &mut |_| ControlFlow::Continue(()))
            .unwrap()
            .n_files,
        0
    );
    assert_eq!(place.asked(), [0]);
}

/// All files of both stories but the list of TRs.
#[test]
fn three_failures_one_after_the_other_end_the_run() {
    let server = bucket(dataset(b"x"), 1000, |request, _| {
        let is_file = request.query("prefix").is_none() && !request.path.ends_with("json");
        is_file.then(|| Answer::new(404, ""))
    });
    let folder = tempfile::tempdir().unwrap();
    let files = Ds003020Files::new(folder.path(), ["UTS01".to_owned()]).unwrap();
    let files = files.with_endpoint(&server.url()).unwrap();
    let mut config = quick();
    config.jobs = 1;
    let go_on = &mut |_: FetchEvent<'_>| ControlFlow::Continue(());
    let plan = files.plan(&config, go_on).unwrap();
    assert_eq!(plan.files().len(), 7);
    let error = plan.run(&config, go_on).unwrap_err();
    let FetchError::Several { n_failed: 3, first } = &error else {
        panic!("{error:?}")
    };
    assert!(first.to_string().contains("life.hf5"), "{first}");
    assert!(error.to_string().contains("3 files"), "{error}");
    // The list of TRs, which came, and three.
    assert_eq!(server.requests("/ds003020/").len(), 4);
}

/// Who may not have one file may have none.
#[test]
fn a_server_that_lets_nobody_in_is_asked_once() {
    let server = bucket(dataset(b"x"), 1000, |request, _| {
        request
            .query("prefix")
            .is_none()
            .then(|| Answer::new(403, ""))
    });
    let folder = tempfile::tempdir().unwrap();
    let files = Ds003020Files::new(folder.path(), ["UTS01".to_owned()]).unwrap();
    let files = files.with_endpoint(&server.url()).unwrap();
    let mut config = quick();
    config.jobs = 1;
    let go_on = &mut |_: FetchEvent<'_>| ControlFlow::Continue(());
    let error = files
        .plan(&config, go_on)
        .unwrap()
        .run(&config, go_on)
        .unwrap_err();
    assert!(
        matches!(error, FetchError::Refused { status: 403, .. }),
        "{error}"
    );
    assert_eq!(server.requests("/ds003020/").len(), 1);
}

#[test]
fn a_caller_that_stops_is_not_kept_waiting() {
    let place = Place::new(|request, _| Some(whole(request).cut(100_000).end(End::Stall)));
    let mut config = quick();
    config.stall_timeout = Duration::from_mins(1);
    let began = Instant::now();
    let result = place.plan().run(&config, &mut |event| match event {
        FetchEvent::Fetching { bytes_done, .. } if bytes_done >= 100_000 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(result, Err(FetchError::Cancelled)), "{result:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(std::fs::metadata(place.partial()).unwrap().len(), 100_000);
}

#[test]
fn a_second_process_waits_and_does_not_fetch_again() {
    let place = Place::new(|_, _| None);
    let plan = place.plan();
    let name = "derivative--preprocessed_data--UTS01--life.hf5.lock";
    std::fs::create_dir_all(place.folder.path().join(".locks")).unwrap();
    let path = place.folder.path().join(".locks").join(name);
    let mut lock = Some(std::fs::File::create(path).unwrap());
    lock.as_ref().unwrap().try_lock().unwrap();
    let mut config = quick();
    config.sleep = std::thread::sleep;
    let result = plan.run(&config, &mut |event| {
        if matches!(event, FetchEvent::Waiting { .. })
            && let Some(lock) = lock.take()
        {
            // What the other process does before it lets go.
            std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
            std::fs::write(place.file(), bytes(SIZE)).unwrap();
            drop(lock);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(result.unwrap().n_files, 4);
    assert!(lock.is_none(), "nobody waited");
    assert!(place.asked().is_empty());
}

#[test]
fn files_of_other_people_are_not_replaced() {
    let place = Place::new(|_, _| None);
    std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    std::fs::write(place.file(), "mine").unwrap();
    let files = Ds003020Files::new(place.folder.path(), ["UTS01".to_owned()]).unwrap();
    let files = files.with_endpoint(&place.server.url()).unwrap();
    let error = files
        .plan(&quick(), &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::Exists {
                expected: 300_000,
                got: 4,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(std::fs::read(place.file()).unwrap(), b"mine");
}

/// git-annex leaves links to what it has not fetched.
#[cfg(unix)]
#[test]
fn links_that_lead_nowhere_are_replaced() {
    let place = Place::new(|_, _| None);
    std::fs::create_dir_all(place.file().parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(Path::new("../.git/annex/x"), place.file()).unwrap();
    place.run(&quick()).0.unwrap();
    assert!(!place.file().is_symlink());
    place.assert_whole();
}

#[test]
fn a_disk_too_small_is_said_before() {
    let keys = dataset(&[]);
    let server = bucket(keys, 1000, |request, _| {
        let prefix = request.query("prefix")?;
        let key = "ds003020/derivative/preprocessed_data/UTS01/life.hf5";
        let entry = format!(
            "<ListBucketResult><Contents><Key>{key}</Key><Size>{}</Size></Contents></ListBucketResult>",
            u64::MAX
        );
        prefix
            .contains("preprocessed_data")
            .then(|| Answer::new(200, entry))
    });
    let folder = tempfile::tempdir().unwrap();
    let files = Ds003020Files::new(folder.path(), ["UTS01".to_owned()]).unwrap();
    let files = files.with_endpoint(&server.url()).unwrap();
    let plan = files
        .plan(&quick(), &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(plan.bytes(), u64::MAX, "sums of lies do not overflow");
    let error = plan
        .run(&quick(), &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(matches!(error, FetchError::NoSpace { .. }), "{error}");
}

#[test]
fn nobody_there_is_said_after_some_tries() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let files = Ds003020Files::new(Path::new("unused"), ["UTS01".to_owned()]).unwrap();
    let files = files.with_endpoint(&url).unwrap();
    let error = files
        .plan(&quick(), &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("4 tries") && message.contains(&url),
        "{message}"
    );
}
