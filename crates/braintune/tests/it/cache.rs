//! The feature cache: what it holds, and cleaning it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use braintune::backbone::FrozenCache;
use braintune::cache::{CacheContents, CacheLimits, Entry, EntryKind, remove};
use burn::tensor::{Device, Tensor};

use crate::simulated::{config, go_on, outputs, participant, run};

const DAY: Duration = Duration::from_hours(24);

fn aged(path: &Path, days: u32) {
    let then = SystemTime::now() - days * DAY;
    File::open(path).unwrap().set_modified(then).unwrap();
}

/// A file of the cache's name, `n` at its end, with `bytes`.
fn named(folder: &Path, n: u32, ending: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("{n:064x}{ending}"));
    fs::write(&path, bytes).unwrap();
    path
}

fn paths(entries: &[&Entry]) -> Vec<PathBuf> {
    entries.iter().map(|entry| entry.path.clone()).collect()
}

#[test]
fn a_run_leaves_entries_that_say_what_they_are_and_makes_again_what_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let config = config(&participant(folder.path()));
    assert!(CacheContents::read(&cache).unwrap().entries.is_empty());
    run(folder.path(), &config, &mut go_on).unwrap();
    let before = outputs(folder.path());
    let frozen = FrozenCache::new(&cache, "abc".to_owned(), 1).unwrap();
    let clip = || Tensor::<2>::zeros([1, 400], &Device::flex());
    let compute = |x: Tensor<2>| x.reshape([1, 100, 4]);
    frozen.output(clip(), &[400], compute);

    let contents = CacheContents::read(&cache).unwrap();
    let groups = contents.groups();
    let told: Vec<_> = groups
        .iter()
        .map(|g| (g.kind, g.n_entries, &*g.shape))
        .collect();
    assert_eq!(
        told,
        [
            (EntryKind::Features, 4, "3 x 16"),
            (EntryKind::Frozen, 1, "")
        ]
    );
    let record = fs::read_to_string(folder.path().join("out/provenance.json")).unwrap();
    assert!(record.contains(groups[0].weights.as_deref().unwrap()));
    assert_eq!(groups[1].weights.as_deref(), Some("abc"));
    let sizes = contents
        .entries
        .iter()
        .map(|e| fs::metadata(&e.path).unwrap().len());
    assert_eq!(contents.n_bytes(), sizes.sum::<u64>());

    // Reading an entry is using it.
    for entry in &contents.entries {
        aged(&entry.path, 3);
    }
    frozen.output(clip(), &[400], |_| unreachable!("it is kept"));
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    run(folder.path(), &config, &mut go_on).unwrap();
    let contents = CacheContents::read(&cache).unwrap();
    let now = SystemTime::now();
    let limits = CacheLimits {
        max_age: Some(DAY),
        ..CacheLimits::default()
    };
    assert!(contents.beyond(limits, now).is_empty());

    let all = contents.beyond(CacheLimits::default(), now);
    let cleaned = remove(&all).unwrap();
    assert_eq!(
        (cleaned.n_entries, cleaned.n_bytes),
        (5, contents.n_bytes())
    );
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    fs::remove_dir_all(folder.path().join("out")).unwrap();
    run(folder.path(), &config, &mut go_on).unwrap();
    assert!(outputs(folder.path()) == before);
}

#[test]
fn what_was_not_of_use_for_longest_goes_first() {
    let folder = tempfile::tempdir().unwrap();
    let made: Vec<PathBuf> = (0..5)
        .map(|n| named(folder.path(), n, ".safetensors", &[0; 100]))
        .collect();
    // Oldest first: 3, 0, 4, 1, 2.
    for (n, days) in [(3, 50), (0, 40), (4, 30), (1, 20), (2, 10)] {
        aged(&made[n], days);
    }
    let contents = CacheContents::read(folder.path()).unwrap();
    assert!(
        contents
            .entries
            .iter()
            .all(|entry| entry.kind == EntryKind::Damaged)
    );
    let now = SystemTime::now();
    let beyond = |max_bytes, days: Option<u32>| {
        let limits = CacheLimits {
            max_bytes,
            max_age: days.map(|days| days * DAY),
        };
        paths(&contents.beyond(limits, now))
    };
    let expected = |places: &[usize]| places.iter().map(|&n| made[n].clone()).collect::<Vec<_>>();
    assert_eq!(beyond(Some(500), None), expected(&[]));
    assert_eq!(beyond(Some(499), None), expected(&[3]));
    assert_eq!(beyond(Some(200), None), expected(&[3, 0, 4]));
    assert_eq!(beyond(None, Some(35)), expected(&[3, 0]));
    assert_eq!(beyond(Some(100), Some(35)), expected(&[3, 0, 4, 1]));
    assert_eq!(beyond(Some(0), None), expected(&[3, 0, 4, 1, 2]));
    // One is used and one is gone before they are removed.
    let all = contents.beyond(CacheLimits::default(), now);
    aged(&made[1], 0);
    fs::remove_file(&made[0]).unwrap();
    let cleaned = remove(&all).unwrap();
    assert_eq!(
        (cleaned.n_entries, cleaned.n_bytes, cleaned.n_used_since),
        (3, 300, 1)
    );
    assert!(made[1].exists() && !made[2].exists());
}

#[test]
fn other_files_and_what_is_in_work_are_left() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("notes.txt"), "mine").unwrap();
    fs::write(at("model.safetensors"), [0; 16]).unwrap();
    fs::create_dir(at("study")).unwrap();
    let upper = at(&format!("{}.safetensors", "A".repeat(64)));
    fs::write(&upper, [0; 16]).unwrap();
    // The cache's name, but what it holds is somebody's weights.
    let header = br#"{"weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    let mut weights = (header.len() as u64).to_le_bytes().to_vec();
    weights.extend(header);
    weights.extend([0; 4]);
    let weights = named(folder.path(), 9, ".safetensors", &weights);
    let foreign = at(&format!("{:064x}.parts", 7));
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("diary.txt"), "mine").unwrap();
    let mut others = vec![
        at("notes.txt"),
        at("model.safetensors"),
        at("study"),
        upper,
        weights,
        foreign,
    ];
    #[cfg(unix)]
    {
        let link = at(&format!("{:064x}.safetensors", 8));
        std::os::unix::fs::symlink(at("notes.txt"), &link).unwrap();
        others.push(link);
    }
    others.sort();

    let parts = |n: u32, days| {
        let parts = at(&format!("{n:064x}.parts"));
        fs::create_dir(&parts).unwrap();
        fs::write(parts.join("000000000-000000008.safetensors"), [0; 70]).unwrap();
        aged(&parts.join("000000000-000000008.safetensors"), days);
        aged(&parts, days);
        parts
    };
    let (in_work, given_up) = (parts(1, 0), parts(2, 5));
    let leftover = at(&format!(".{:064x}.safetensors.Ab3dEf", 3));
    fs::write(&leftover, [0; 30]).unwrap();

    let contents = CacheContents::read(folder.path()).unwrap();
    assert_eq!(contents.others, others);
    assert_eq!(contents.n_bytes(), 70 + 70 + 30);
    let now = SystemTime::now();
    let all = contents.beyond(CacheLimits::default(), now);
    assert_eq!(paths(&all), std::slice::from_ref(&given_up));
    assert_eq!(remove(&all).unwrap().n_bytes, 70);
    assert!(!given_up.exists() && in_work.exists() && leftover.exists());
    let later = contents.beyond(CacheLimits::default(), now + 2 * DAY);
    remove(&later).unwrap();
    assert!(!in_work.exists() && !leftover.exists());
    assert_eq!(CacheContents::read(folder.path()).unwrap().others, others);
}
