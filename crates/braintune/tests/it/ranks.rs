//! `encode` by several processes, here threads: the same bytes as by one, and nothing lost when one of them ends.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune::backbone::{PretrainedModel, Windows};
use braintune::encode::{self, EncodeConfig, ModelFeatures, Outcome, Regions};
use braintune::fmri::{Ds003020, StoryDataset, write_responses};
use braintune::ranks::{Ranks, Shard, ThreadRanks};
use braintune::simulation::{SimulationConfig, simulate};
use braintune::{BraintuneError, Event, Folders, Split};
use burn::tensor::Device;

use crate::simulated::go_on;

/// Of 8,200 voxels, so that a layer has three pieces.
struct Place {
    folder: tempfile::TempDir,
    config: EncodeConfig,
}

type Found = Result<Outcome, BraintuneError>;

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = SimulationConfig::default()
            .with_n_train_stories(3)
            .with_story_s(60.0)
            .with_test_story_s(120.0)
            .with_n_voxels(8_200);
        let root = folder.path().join("dataset");
        let made = simulate(&config, &root, &mut |_| ControlFlow::Continue(())).unwrap();
        let test = vec![made.test_story().to_owned()];
        let config = EncodeConfig {
            alphas: "logspace:0:4:5".parse().unwrap(),
            memory_budget: 1 << 28,
            regions: Regions::read(&made.rois_path()).unwrap(),
            n_permutations: 40,
            n_bootstraps: 40,
            ..EncodeConfig::new(made.subject(), test).unwrap()
        };
        Self { folder, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A part of the job into `out`.
    fn part(
        &self,
        (dataset, out): (&str, &str),
        config: &EncodeConfig,
        split: Split<'_>,
        on: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Found {
        let dataset = Ds003020::open(&self.path(dataset)).unwrap();
        let model =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../backbone/tests/fixtures/whisper-micro");
        let model = PretrainedModel::load(&model, Device::flex()).unwrap();
        let windows = Windows::new(4.0, 2.0).unwrap();
        let model = ModelFeatures::windowed("micro", model, windows).unwrap();
        // A cache for each: nobody can lean on another's.
        let cache = tempfile::tempdir().unwrap();
        let folders = Folders {
            cache: cache.path(),
            out: &self.path(out),
        };
        let command = ["test".to_owned()];
        encode::run_split(&dataset, model, config, folders, (&command, split), on)
    }

    fn whole(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        let found = self.part(("dataset", out), &self.config, Split::whole(), &mut go_on);
        assert!(matches!(found, Ok(Outcome::Computed(_))), "{found:?}");
        self.files(out)
    }

    /// Every file of a folder of results.
    fn files(&self, out: &str) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.path(out)).unwrap();
        let file = |entry: std::io::Result<std::fs::DirEntry>| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        };
        entries.map(file).collect()
    }
}

/// The job by `n` ranks, of which each does `rank`.
fn by_ranks(n: usize, rank: impl Fn(&ThreadRanks) -> Found + Sync) -> Vec<Found> {
    std::thread::scope(|scope| {
        let group = ThreadRanks::group(n).into_iter();
        let rank = &rank;
        let threads: Vec<_> = group
            .map(|ranks| scope.spawn(move || rank(&ranks)))
            .collect();
        threads.into_iter().map(|it| it.join().unwrap()).collect()
    })
}

#[test]
fn any_number_of_ranks_gives_the_same_bytes() {
    let place = Place::new();
    let expected = place.whole("one");
    assert_eq!(expected.len(), 3, "{:?}", expected.keys());
    for n in [2, 4] {
        let out = format!("by-{n}");
        let found = by_ranks(n, |ranks| {
            let split = Split::Ranks(ranks);
            place.part(("dataset", &out), &place.config, split, &mut go_on)
        });
        assert!(matches!(found[0], Ok(Outcome::Computed(_))), "{found:?}");
        let helped = |found: &Found| matches!(found, Ok(Outcome::Helped));
        assert!(found[1..].iter().all(helped), "{found:?}");
        assert!(place.files(&out) == expected, "{n} ranks");
        let again = by_ranks(n, |ranks| {
            let split = Split::Ranks(ranks);
            place.part(("dataset", &out), &place.config, split, &mut go_on)
        });
        let there = |found: &Found| matches!(found, Ok(Outcome::AlreadyDone));
        assert!(again.iter().all(there), "{again:?}");
    }
    // Little memory cuts the voxels in other places.
    let config = EncodeConfig {
        memory_budget: 1,
        ..place.config.clone()
    };
    let found = place.part(("dataset", "small"), &config, Split::whole(), &mut go_on);
    assert!(found.is_ok() && place.files("small") == expected);
}

#[test]
fn shares_are_merged_into_the_same_bytes() {
    let place = Place::new();
    let expected = place.whole("one");
    let part = |split: Split<'_>| place.part(("dataset", "out"), &place.config, split, &mut go_on);
    for shard in ["3/3", "1/3"] {
        let shard: Shard = shard.parse().unwrap();
        part(Split::Shard(shard)).unwrap();
    }
    let missing = part(Split::Merge).unwrap_err().to_string();
    assert!(
        missing.contains("3 of 9 pieces") && missing.contains("--shard i/n"),
        "{missing}"
    );
    assert!(!place.path("out/alignment.csv").exists());
    let last = part(Split::Shard("2/3".parse().unwrap())).unwrap();
    let (n_done, n_pieces) = (9, 9);
    assert_eq!(last, Outcome::Shared { n_done, n_pieces });
    assert!(matches!(part(Split::Merge), Ok(Outcome::Computed(_))));
    assert!(place.files("out") == expected);
    assert_eq!(part(Split::Merge).unwrap(), Outcome::AlreadyDone);
}

#[test]
fn a_rank_that_stops_ends_the_job_and_the_next_run_goes_on() {
    let place = Place::new();
    let expected = place.whole("one");
    let found = by_ranks(2, |ranks| {
        let stops = ranks.rank() == 1;
        let on = &mut |event: Event<'_>| match event {
            Event::Decomposing { layer: 2, .. } if stops => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        place.part(("dataset", "out"), &place.config, Split::Ranks(ranks), on)
    });
    assert!(
        matches!(found[1], Err(BraintuneError::Cancelled)),
        "{found:?}"
    );
    let said = found[0].as_ref().unwrap_err().to_string();
    assert!(said.contains("rank 1 ended"), "{said}");
    assert!(!place.path("out/alignment.csv").exists());
    let mut layers = Vec::new();
    let on = &mut |event: Event<'_>| {
        if let Event::Decomposing { layer, .. } = event {
            layers.push(layer);
        }
        ControlFlow::Continue(())
    };
    let rest = place.part(("dataset", "out"), &place.config, Split::whole(), on);
    assert!(rest.is_ok(), "{rest:?}");
    assert!(!layers.contains(&0) && layers.contains(&2), "{layers:?}");
    assert!(place.files("out") == expected);
}

#[test]
fn ranks_that_do_not_do_the_same_job_are_told_apart() {
    let place = Place::new();
    let of_rank_1 = |dataset: &'static str, out: &'static str, config: &EncodeConfig| {
        let found = by_ranks(2, |ranks| {
            let split = Split::Ranks(ranks);
            if ranks.rank() == 1 {
                return place.part((dataset, out), config, split, &mut go_on);
            }
            place.part(("dataset", "out"), &place.config, split, &mut go_on)
        });
        let said: Vec<String> = found
            .into_iter()
            .map(|found| found.unwrap_err().to_string())
            .collect();
        assert!(!place.path("out/alignment.csv").exists());
        assert!(!place.path("out/provenance.json").exists());
        said
    };
    let other_seed = EncodeConfig {
        seed: 1,
        ..place.config.clone()
    };
    for said in of_rank_1("dataset", "out", &other_seed) {
        assert!(
            said.contains("rank 1 differs from rank 0 in `seed` (1 in place of 42)"),
            "{said}"
        );
    }
    for said in of_rank_1("dataset", "elsewhere", &place.config) {
        assert!(
            said.contains("is not the folder that rank 0 writes to") && said.contains("--out"),
            "{said}"
        );
    }
    // A copy of the data, in which one response differs.
    copy(&place.path("dataset"), &place.path("copy"));
    let dataset = Ds003020::open(&place.path("copy")).unwrap();
    let subject = &place.config.subject;
    let story = dataset.stories()[1].name().to_owned();
    let mut bold = dataset.responses(subject, &story).unwrap().into_bold();
    bold[[12, 7]] += 0.5;
    let file = dataset.response_file(subject, &story).unwrap();
    std::fs::remove_file(&file).unwrap();
    write_responses(&file, bold.view()).unwrap();
    for said in of_rank_1("copy", "out", &place.config) {
        let expected = format!("rank 1 differs from rank 0 in the responses to {story}");
        assert!(said.contains(&expected), "{said}");
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}
