//! Damaged files give errors that name them: no panic, no giant allocation.

use std::fs;
use std::path::Path;

use braintune_fmri::{FmriError, Gifti, LabelTable, Regions, SurfaceMapper, read_annot};
use proptest::prelude::*;

use crate::{fixture, full_message};

/// Bytes that are replaced, taken out or put in; places are parts of the length.
#[derive(Clone, Debug)]
enum Change {
    Set(f64, u8),
    Flip(f64, u8),
    Remove(f64, usize),
    Insert(f64, Vec<u8>),
    Cut(f64),
}

fn change() -> impl Strategy<Value = Change> {
    let place = || 0.0..1.0_f64;
    let text = prop_oneof![
        Just("\""),
        Just("<"),
        Just("9999999"),
        Just("-1"),
        Just("&#0;")
    ];
    prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(p, b)| Change::Set(p, b)),
        4 => (place(), 0..8_u8).prop_map(|(p, bit)| Change::Flip(p, bit)),
        1 => (place(), 1..40_usize).prop_map(|(p, n)| Change::Remove(p, n)),
        1 => (place(), text).prop_map(|(p, t)| Change::Insert(p, t.as_bytes().to_vec())),
        1 => (place(), any::<[u8; 4]>()).prop_map(|(p, b)| Change::Insert(p, b.to_vec())),
        1 => place().prop_map(Change::Cut),
    ]
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a small length"
)]
fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let at = |place: f64| (place * bytes.len() as f64) as usize;
        match change {
            _ if bytes.is_empty() => {}
            Change::Set(place, byte) => {
                let at = at(*place);
                bytes[at] = *byte;
            }
            Change::Flip(place, bit) => {
                let at = at(*place);
                bytes[at] ^= 1 << bit;
            }
            Change::Remove(place, n) => {
                let at = at(*place);
                bytes.drain(at..(at + n).min(bytes.len()));
            }
            Change::Insert(place, new) => {
                let at = at(*place);
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Cut(place) => bytes.truncate(at(*place)),
        }
    }
    bytes
}

fn read(path: &Path) -> Result<(), FmriError> {
    match path.extension().and_then(|end| end.to_str()) {
        Some("annot") => read_annot(path).map(|_| ()),
        Some("gii") => {
            let gifti = Gifti::read(path)?;
            // What can be wrong with one but not with the other.
            let (values, labels) = (gifti.values(), gifti.parcellation());
            values.map(|_| ()).or(labels.map(|_| ()))
        }
        Some("hdf") => {
            let mapper = SurfaceMapper::open(path, "voxel_to_fsaverage")?;
            let Ok(surface) = mapper.to_surface(&[1.0; 25]) else {
                return Ok(());
            };
            assert_eq!(surface.len(), mapper.n_vertices());
            Ok(())
        }
        Some("json") => Regions::read(path).map(|_| ()),
        _ => LabelTable::read(path).map(|_| ()),
    }
}

fn check(name: &str, bytes: Vec<u8>, changes: &[Change]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, changed(bytes, changes)).unwrap();
    if let Err(error) = read(&path) {
        let message = full_message(&error);
        assert!(message.contains(name), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn binary_files(changes in prop::collection::vec(change(), 1..6)) {
        for file in ["annot/new.annot", "annot/old.annot", "mapper/whole.hdf", "mapper/gzip.hdf"] {
            let name = format!("damaged.{}", file.rsplit('.').next().unwrap_or_default());
            check(&name, fs::read(fixture(file)).unwrap(), &changes);
        }
    }

    #[test]
    fn gifti_files(changes in prop::collection::vec(change(), 1..6)) {
        for file in ["ascii.label", "b64bin.label", "b64gz.func", "hand_b64gz_col"] {
            let bytes = fs::read(fixture(&format!("gifti/{file}.gii"))).unwrap();
            check("damaged.gii", bytes, &changes);
        }
    }

    #[test]
    fn text_files(changes in prop::collection::vec(change(), 1..6)) {
        check("damaged.json", br#"{"a": [1, 2, 30], "b": [4]}"#.to_vec(), &changes);
        check("damaged.txt", b"# LUT\n0 a 0 0 0 0\n1 b 1 2 3 0\n".to_vec(), &changes);
        check("damaged.tsv", b"index\tname\n0\ta\n1\tb\n".to_vec(), &changes);
    }
}
