//! A study by several ranks and by shares of an array job: the bytes of one process, and what goes wrong among several.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;

use braintune::fmri::{Ds003020, StoryDataset, write_responses};
use braintune::ranks::{Shard, ThreadRanks};
use braintune::study::{ShardOutcome, Study, StudyOutcome, merge, run_on, run_shard};
use braintune::{BraintuneError, Event, Folders};
use burn::tensor::Device;

use crate::study::{Place, STUDY, UNTUNED, assert_same, files};

/// Two states of the model, a baseline for each of two participants.
fn untuned() -> String {
    UNTUNED.replace("names = []", "names = [\"acoustic\"]")
}

/// What a rank is told: its number and the event.
type Told<'a> = &'a (dyn Fn(usize, Event<'_>) -> ControlFlow<()> + Sync);

fn go_on(_: usize, _: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The study by `n` ranks, each with a study and a folder for its results of its own.
fn on_ranks(
    n: usize,
    of: impl Fn(usize) -> (Study, std::path::PathBuf) + Sync,
    cache: &Path,
    told: Told<'_>,
) -> Vec<Result<StudyOutcome, BraintuneError>> {
    let one = |ranks: ThreadRanks, rank: usize| {
        let (study, out) = of(rank);
        let folders = Folders { cache, out: &out };
        let command = ["test".to_owned()];
        let on = &mut |event: Event<'_>| told(rank, event);
        run_on(&study, folders, &Device::flex(), &command, &ranks, on)
    };
    std::thread::scope(|scope| {
        let ranks = ThreadRanks::group(n).into_iter().enumerate();
        let threads: Vec<_> = ranks
            .map(|(rank, ranks)| scope.spawn(move || one(ranks, rank)))
            .collect();
        let threads = threads.into_iter();
        threads.map(|thread| thread.join().unwrap()).collect()
    })
}

fn shard(
    place: &Place,
    text: &str,
    out: &str,
    shard: &str,
) -> Result<ShardOutcome, BraintuneError> {
    let (cache, out) = (place.path("cache"), place.path(out));
    let folders = Folders {
        cache: &cache,
        out: &out,
    };
    let (study, shard) = (place.study(text)?, shard.parse::<Shard>().unwrap());
    let (device, command) = (Device::flex(), ["test".to_owned()]);
    run_shard(&study, folders, &device, &command, shard, &mut |event| {
        go_on(0, event)
    })
}

fn merged(place: &Place, text: &str, out: &str) -> Result<StudyOutcome, BraintuneError> {
    let study = place.study(text)?;
    let (device, command) = (Device::flex(), ["test".to_owned()]);
    merge(&study, &place.path(out), &device, &command, &mut |event| {
        go_on(0, event)
    })
}

fn messages(found: &[Result<StudyOutcome, BraintuneError>]) -> Vec<String> {
    let message = |one: &Result<_, BraintuneError>| one.as_ref().unwrap_err().to_string();
    found.iter().map(message).collect()
}

#[test]
fn any_number_of_ranks_leaves_the_bytes_of_one_process() {
    let place = Place::with_two_participants();
    let expected = place.run(STUDY, "whole").unwrap();
    let whole = files(&place.path("whole"));
    let study = place.study(STUDY).unwrap();
    for n in [2, 3] {
        let cache = place.path(&format!("cache{n}"));
        let out = place.path(&format!("ranks{n}"));
        let (steps, read) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        let told = |rank: usize, event: Event<'_>| {
            match event {
                Event::Step { name, .. } => steps.lock().unwrap().push((rank, name.to_owned())),
                // Before the first step: encoding checks stories too.
                Event::Checking { story, .. }
                    if steps.lock().unwrap().iter().all(|(r, _)| *r != rank) =>
                {
                    read.lock().unwrap().push((rank, story.to_owned()));
                }
                _ => {}
            }
            ControlFlow::Continue(())
        };
        let found = on_ranks(n, |_| (study.clone(), out.clone()), &cache, &told);
        for one in &found {
            assert_eq!(*one.as_ref().unwrap(), expected);
        }
        assert_same(&whole, &files(&out));
        // Each step by one rank, all ranks at work, and what reads one state of the model together.
        let steps = steps.into_inner().unwrap();
        assert_eq!(steps.len(), expected.n_run);
        let names: BTreeSet<&String> = steps.iter().map(|(_, name)| name).collect();
        assert_eq!(names.len(), expected.n_run);
        let ranks_of = |part: &str| {
            let of = steps.iter().filter(|(_, name)| name.contains(part));
            of.map(|(rank, _)| *rank).collect::<BTreeSet<_>>()
        };
        assert_eq!(ranks_of("").len(), n);
        for state in [
            "tiny pretrained",
            "tiny random-weights",
            "tiny brain-tuned SIM02",
        ] {
            assert_eq!(ranks_of(state).len(), 1, "{state}: {steps:?}");
        }
        // Four sounds, and the responses of two participants to them, each read once.
        let read = read.into_inner().unwrap();
        assert_eq!(read.len(), 12, "{read:?}");
        let ranks: BTreeSet<usize> = read.iter().map(|(rank, _)| *rank).collect();
        assert_eq!(ranks.len(), n, "{read:?}");
    }
}

#[test]
fn shares_in_any_order_and_a_merge_leave_the_bytes_of_one_process() {
    let place = Place::with_two_participants();
    let text = untuned();
    let expected = place.run(&text, "whole").unwrap();
    let n_steps = expected.n_run;
    for order in [["1/3", "2/3", "3/3"], ["3/3", "1/3", "2/3"]] {
        let out = format!("shares{}", &order[0][..1]);
        let nothing = merged(&place, &text, &out).unwrap_err().to_string();
        assert!(
            nothing.contains(&format!("{n_steps} of {n_steps} steps")),
            "{nothing}"
        );
        assert!(
            !place.path(&out).exists(),
            "a merge of nothing writes nothing"
        );
        let mut n_done = 0;
        for (k, name) in order.iter().enumerate() {
            let found = shard(&place, &text, &out, name).unwrap();
            assert_eq!(
                (found.n_already, found.n_failed, found.n_elsewhere),
                (0, 0, 0)
            );
            assert!(found.n_run > 0 && found.n_run == found.steps.len());
            n_done += found.n_run;
            assert_eq!((found.n_done, found.n_steps), (n_done, n_steps));
            assert!(!place.path(&out).join("study.json").exists());
            if k == 1 {
                let missing = merged(&place, &text, &out).unwrap_err().to_string();
                let share = format!("(share {})", order[2]);
                let n = n_steps - n_done;
                assert_eq!(missing.matches(&share).count(), n, "{missing}");
                assert_eq!(missing.matches("(share").count(), n, "{missing}");
                assert!(missing.contains("without --shard"), "{missing}");
            }
        }
        let again = shard(&place, &text, &out, order[1]).unwrap();
        assert_eq!((again.n_run, again.n_already), (0, again.steps.len()));
        let found = merged(&place, &text, &out).unwrap();
        assert_eq!(found.results, expected.results);
        assert_eq!((found.n_run, found.n_already), (0, n_steps));
        assert_same(&files(&place.path("whole")), &files(&place.path(&out)));
    }
    // A share that nobody did is done by the study itself. The command of shares may be kept before they begin.
    std::fs::create_dir(place.path("rest")).unwrap();
    std::fs::write(place.path("rest/.shard-command.json"), "{}").unwrap();
    shard(&place, &text, "rest", "2/2").unwrap();
    let rest = place.run(&text, "rest").unwrap();
    assert!(rest.n_run > 0 && rest.n_already > 0);
    std::fs::remove_file(place.path("rest/.shard-command.json")).unwrap();
    assert_same(&files(&place.path("whole")), &files(&place.path("rest")));
}

#[test]
fn shares_keep_a_whole_run_out_and_each_other_from_the_same_steps() {
    let place = Place::new();
    let text = untuned();
    let lock = |name: &str| {
        let path = place.path("out/.study").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(path).unwrap()
    };
    let held = lock("lock");
    held.lock().unwrap();
    let refused = shard(&place, &text, "out", "1/2").unwrap_err().to_string();
    assert!(refused.contains("of the whole study"), "{refused}");
    held.unlock().unwrap();
    held.lock_shared().unwrap();
    let refused = place.run(&text, "out").unwrap_err().to_string();
    assert!(refused.contains("--shard"), "{refused}");
    // Two processes of the same share, the second begun while the first is at its first unit.
    let study = place.study(&text).unwrap();
    let (cache, out) = (place.path("cache"), place.path("out"));
    let folders = Folders {
        cache: &cache,
        out: &out,
    };
    let (device, command) = (Device::flex(), ["test".to_owned()]);
    let mut second = None;
    let on = &mut |event: Event<'_>| {
        if matches!(event, Event::Step { number: 1, .. }) {
            second = Some(shard(&place, &text, "out", "1/1").unwrap());
        }
        ControlFlow::Continue(())
    };
    let whole = "1/1".parse::<Shard>().unwrap();
    let first = run_shard(&study, folders, &device, &command, whole, on).unwrap();
    let second = second.unwrap();
    assert_eq!(second.n_elsewhere, 1, "pretrained encodes one participant");
    assert_eq!(second.n_run + 1, first.n_steps);
    assert_eq!((first.n_run, first.n_already), (1, second.n_run));
    drop(held);
    place.run(&text, "whole").unwrap();
    merged(&place, &text, "out").unwrap();
    assert_same(&files(&place.path("whole")), &files(&place.path("out")));
}

#[test]
fn a_rank_that_stops_or_fails_leaves_what_is_done_to_the_next_run() {
    let place = Place::with_two_participants();
    let text = untuned();
    place.run(&text, "whole").unwrap();
    let (study, out) = (place.study(&text).unwrap(), place.path("out"));
    let of = |_| (study.clone(), out.clone());
    // Before it has read, and before its second step.
    for stop_at in [0, 2] {
        let n_steps = Mutex::new(0);
        let told = |rank: usize, event: Event<'_>| {
            let mut n_steps = n_steps.lock().unwrap();
            *n_steps += usize::from(rank == 1 && matches!(event, Event::Step { .. }));
            if rank == 1 && *n_steps >= stop_at {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        let found = on_ranks(2, of, &place.path("cache1"), &told);
        assert!(matches!(found[1], Err(BraintuneError::Cancelled)));
        let of_other = found[0].as_ref().unwrap_err().to_string();
        let expected = ["stopped before the end", "rank 1 ended before the job"];
        let expected = expected[usize::from(stop_at > 0)];
        assert!(of_other.contains(expected), "{of_other}");
        assert!(!out.join("study.json").exists());
    }
    let found = on_ranks(2, of, &place.path("cache1"), &go_on);
    let found = found[0].as_ref().unwrap();
    assert!(found.n_already > 0 && found.n_run > 0 && found.n_failed == 0);
    assert_same(&files(&place.path("whole")), &files(&out));
}

#[test]
fn a_step_that_fails_on_a_rank_is_recorded_and_the_rest_goes_on() {
    let place = Place::new();
    let failing = STUDY.replace("epochs = 1", "epochs = 1\nlr_backbone = 1e30");
    let expected = place.run(&failing, "whole").unwrap();
    assert!(expected.n_failed > 1 && expected.n_run > 1);
    let (cache, out) = (place.path("cache2"), place.path("out"));
    let failing = place.study(&failing).unwrap();
    for found in on_ranks(3, |_| (failing.clone(), out.clone()), &cache, &go_on) {
        assert_eq!(found.unwrap(), expected);
    }
    assert_same(&files(&place.path("whole")), &files(&out));
    let whole = place.run(STUDY, "whole").unwrap();
    let study = place.study(STUDY).unwrap();
    let mended = on_ranks(2, |_| (study.clone(), out.clone()), &cache, &go_on);
    assert_eq!(*mended[1].as_ref().unwrap(), whole);
    assert_same(&files(&place.path("whole")), &files(&out));
}

#[test]
fn ranks_that_do_not_see_the_same_are_named() {
    let (place, other) = (
        Place::with_two_participants(),
        Place::with_two_participants(),
    );
    let text = untuned();
    place.run(&text, "whole").unwrap();
    let studies = [place.study(&text).unwrap(), other.study(&text).unwrap()];
    let (out, cache) = (place.path("out"), place.path("cache1"));
    let run = |outs: [&Path; 2]| {
        let of = |rank: usize| (studies[rank].clone(), outs[rank].to_path_buf());
        let n_read = Mutex::new([0; 2]);
        let told = |rank: usize, event: Event<'_>| {
            let is_read = matches!(event, Event::Checking { total: 12, .. });
            n_read.lock().unwrap()[rank] += usize::from(is_read);
            ControlFlow::Continue(())
        };
        let found = on_ranks(2, of, &cache, &told);
        // Each its own copy.
        assert_eq!(n_read.into_inner().unwrap(), [12; 2]);
        found
    };
    // Another folder of results.
    let elsewhere = other.path("out");
    let said = messages(&run([&out, &elsewhere]));
    assert!(
        said[0].starts_with("rank 1: ") && said[0].contains("storage"),
        "{said:?}"
    );
    assert!(
        said[1].contains("rank 0 writes to") && !elsewhere.exists(),
        "{said:?}"
    );
    // Copies of the same data on two machines are as good as one.
    let found = run([&out, &out]);
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    assert_same(&files(&place.path("whole")), &files(&out));
    // Another response on one of them.
    let dataset = Ds003020::open(&other.path("dataset")).unwrap();
    let mut bold = dataset
        .responses("SIM02", "thelasttrain")
        .unwrap()
        .into_bold();
    bold[[20, 3]] += 0.5;
    let response = other.path("dataset/derivative/preprocessed_data/SIM02/thelasttrain.hf5");
    write_responses(&response, bold.view()).unwrap();
    let said = messages(&run([&out, &out]));
    for said in said {
        assert!(
            said.contains(
                "rank 1 differs from rank 0 in the responses of SIM02 to story thelasttrain"
            ),
            "{said}"
        );
    }
    // Results of another version.
    let owner = "{\"braintune\": \"0.0.1\", \"title\": \"study\"}";
    std::fs::write(out.join(".study/owner.json"), owner).unwrap();
    let of = |_| (studies[0].clone(), out.clone());
    let said = messages(&on_ranks(2, of, &cache, &go_on));
    assert!(said.iter().all(|said| said.contains("0.0.1")), "{said:?}");
    assert!(said[1].starts_with("rank 0: "), "{said:?}");
    let share = shard(&place, &text, "out", "1/2").unwrap_err().to_string();
    assert!(share.contains("0.0.1"), "{share}");
}
