//! NIST SPHERE files: the same samples as a WAV file holds, and headers that cannot be.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use braintune_audio::{AudioError, decode_audio, load_audio, probe_audio};
use proptest::prelude::*;
use tempfile::TempDir;

use crate::bad_input::error;
use crate::fixtures::{path, shared};

/// Lines of a header, which a test changes before it writes the file.
#[derive(Clone)]
struct Header(Vec<(&'static str, String)>);

impl Header {
    fn new(n_samples: usize, n_channels: usize, n_bytes: usize) -> Self {
        let mut header = Self(vec![
            ("database_id", "-s5 TIMIT".to_owned()),
            ("channel_count", String::new()),
            ("sample_count", String::new()),
            ("sample_rate", "-i 16000".to_owned()),
            ("sample_n_bytes", String::new()),
            ("sample_byte_format", "-s2 01".to_owned()),
            ("sample_sig_bits", "-i 16".to_owned()),
        ]);
        header.set("sample_count", &format!("-i {n_samples}"));
        header.set("channel_count", &format!("-i {n_channels}"));
        header.set("sample_n_bytes", &format!("-i {n_bytes}"));
        header
    }

    fn set(&mut self, name: &'static str, value: &str) {
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => value.clone_into(old),
            None => self.0.push((name, value.to_owned())),
        }
    }

    fn with(&self, name: &'static str, value: &str) -> Self {
        let mut header = self.clone();
        header.set(name, value);
        header
    }

    fn without(&self, name: &str) -> Self {
        let kept = self.0.iter().filter(|(n, _)| *n != name);
        Self(kept.cloned().collect())
    }

    fn file(&self, data: &[u8]) -> Vec<u8> {
        let mut text = String::from("NIST_1A\n   1024\n");
        for (name, value) in &self.0 {
            writeln!(text, "{name} {value}").unwrap();
        }
        text.push_str("end_head\n");
        let mut bytes = text.into_bytes();
        bytes.resize(1024, b' ');
        bytes.extend(data);
        bytes
    }
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(&self, bytes: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.path().join("SA1.WAV");
        fs::write(&file, bytes).unwrap();
        file
    }
}

/// The samples of a canonical WAV fixture, as bytes.
fn wav_data(name: &str) -> Vec<u8> {
    let whole = fs::read(path("codecs").join(name)).unwrap();
    let data = whole.windows(4).position(|w| w == b"data").unwrap();
    let len = u32::from_le_bytes(whole[data + 4..data + 8].try_into().unwrap());
    whole[data + 8..][..len as usize].to_vec()
}

fn swapped(data: &[u8]) -> Vec<u8> {
    data.chunks_exact(2).flat_map(|b| [b[1], b[0]]).collect()
}

/// Each case is a WAV fixture, the header of the same samples as SPHERE, and their bytes there.
#[test]
fn samples_equal_those_of_wav() {
    let (mono, stereo) = (wav_data("i16.wav"), wav_data("i16_stereo.wav"));
    let (ulaw, alaw) = (wav_data("ulaw_stereo.wav"), wav_data("alaw.wav"));
    let bytes = wav_data("u8.wav");
    let of_mono = Header::new(mono.len() / 2, 1, 2);
    let of_stereo = Header::new(stereo.len() / 4, 2, 2).with("sample_rate", "-i 44100");
    let telephone = |n, n_channels| Header::new(n, n_channels, 1).with("sample_rate", "-i 8000");
    let signed = bytes.iter().map(|b| b.wrapping_sub(128)).collect();
    let cases = [
        ("i16.wav", of_mono.clone(), mono.clone()),
        (
            "i16.wav",
            of_mono.with("sample_byte_format", "-s2 10"),
            swapped(&mono),
        ),
        (
            "i16.wav",
            of_mono.with("sample_coding", "-s3 pcm"),
            mono.clone(),
        ),
        ("i16.wav", of_mono.with("sample_rate", "-r 16000.000"), mono),
        ("i16_stereo.wav", of_stereo.clone(), stereo.clone()),
        (
            "i16_stereo.wav",
            of_stereo.with("sample_byte_format", "-s2 10"),
            swapped(&stereo),
        ),
        (
            "ulaw_stereo.wav",
            telephone(ulaw.len() / 2, 2).with("sample_coding", "-s4 ulaw"),
            ulaw,
        ),
        (
            "alaw.wav",
            telephone(alaw.len(), 1).with("sample_coding", "-s4 alaw"),
            alaw,
        ),
        ("u8.wav", telephone(bytes.len(), 1), signed),
    ];
    let folder = Folder::new();
    for (i, (wav, header, data)) in cases.into_iter().enumerate() {
        let (wav, file) = (path("codecs").join(wav), folder.with(header.file(&data)));
        assert_eq!(
            decode_audio(&file).unwrap(),
            decode_audio(&wav).unwrap(),
            "case {i}"
        );
        assert_eq!(
            probe_audio(&file).unwrap(),
            probe_audio(&wav).unwrap(),
            "case {i}"
        );
        assert_eq!(load_audio(&file).unwrap(), load_audio(&wav).unwrap());
    }
}

/// More blocks than one, and an end in the middle of one.
#[test]
fn long_files_are_turned_round_whole() {
    let n = 20_001_u16;
    let data: Vec<u8> = (0..n).flat_map(u16::to_be_bytes).collect();
    let header = Header::new(usize::from(n), 1, 2).with("sample_byte_format", "-s2 10");
    let wave = decode_audio(&Folder::new().with(header.file(&data))).unwrap();
    assert_eq!(wave.samples().len(), 20_001);
    let ramp = (0..n).map(|i| f32::from(i) / 32_768.0);
    assert!(wave.samples().iter().copied().eq(ramp));
}

#[test]
fn only_the_samples_counted_are_read() {
    let header = Header::new(3, 1, 2);
    let file = Folder::new();
    let file = file.with(header.file(&[0, 1, 0, 2, 0, 3, 9, 9, 9]));
    let wave = decode_audio(&file).unwrap();
    assert_eq!(
        wave.samples(),
        [256.0, 512.0, 768.0].map(|x| x / 32_768.0_f32)
    );
}

#[test]
fn every_cut_is_an_error() {
    let folder = Folder::new();
    let whole = Header::new(100, 2, 2).file(&[7; 400]);
    assert!(load_audio(&folder.with(&whole)).is_ok());
    for len in 1..whole.len() {
        let e = error(&folder.with(&whole[..len]));
        let named = match e {
            AudioError::NotAudio { .. } => len < 7,
            AudioError::Truncated { expected_s, .. } => len < 300 || expected_s == Some(0.006_25),
            _ => false,
        };
        assert!(named, "cut to {len}: {e:?}");
    }
    let e = error(&folder.with(&whole[..1024 + 203]));
    assert!(
        matches!(e, AudioError::Truncated { found_s, .. } if (found_s - 50.0 / 16_000.0).abs() < 1e-12),
        "{e:?}"
    );
}

#[test]
fn codings_that_are_not_read_are_named() {
    let folder = Folder::new();
    let header = Header::new(4, 1, 2);
    for (header, what) in [
        (
            header.with("sample_coding", "-s26 pcm,embedded-shorten-v2.00"),
            "\"pcm,embedded-shorten-v2.00\" (sph2pipe and sox",
        ),
        (
            header.with("sample_coding", "-s4 ulaw"),
            "coded as ulaw in 2 bytes",
        ),
        (
            header.with("sample_n_bytes", "-i 4"),
            "coded as pcm in 4 bytes",
        ),
        (
            header.with("sample_byte_format", "-s12 shortpack-v0"),
            "\"shortpack-v0\"",
        ),
        (header.with("sample_rate", "-i 10"), "rate of 10 Hz"),
        (
            Header::new(2, 2, 2).with("channels_interleaved", "-s5 FALSE"),
            "one after the other",
        ),
    ] {
        let e = error(&folder.with(header.file(&[0; 8])));
        assert!(matches!(e, AudioError::Unsupported { .. }), "{e:?}");
        assert!(e.to_string().contains(what), "{e}");
        assert!(e.to_string().contains("convert the file to PCM WAV"), "{e}");
    }
}

#[test]
fn headers_that_cannot_be() {
    let folder = Folder::new();
    let whole = Header::new(4, 1, 2);
    for name in [
        "sample_count",
        "channel_count",
        "sample_rate",
        "sample_n_bytes",
        "sample_byte_format",
    ] {
        let e = error(&folder.with(whole.without(name).file(&[0; 8])));
        assert!(matches!(e, AudioError::InvalidHeader { .. }), "{e:?}");
        assert!(e.to_string().contains(&format!("it has no {name}")), "{e}");
    }
    for (name, value) in [
        ("channel_count", "0"),
        ("channel_count", "65536"),
        ("channel_count", "-1"),
        ("sample_rate", "0"),
        ("sample_rate", "99999999999"),
        ("sample_rate", "16000.5"),
        ("sample_rate", "fast"),
        ("sample_count", "99999999999999999999999999"),
        ("sample_count", "-4"),
        ("sample_n_bytes", "0"),
    ] {
        let header = whole.with(name, &format!("-i {value}"));
        let e = error(&folder.with(header.file(&[0; 8])));
        assert!(matches!(e, AudioError::InvalidHeader { .. }), "{e:?}");
        assert!(
            e.to_string().contains(&format!("{name} is {value:?}")),
            "{e}"
        );
    }
    // A value without its type is no value.
    let e = error(&folder.with(whole.with("sample_rate", "16000").file(&[0; 8])));
    assert!(e.to_string().contains("it has no sample_rate"), "{e}");
}

#[test]
fn headers_that_do_not_end() {
    let folder = Folder::new();
    let whole = Header::new(4, 1, 2).file(&[0; 8]);
    let with = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|w| w == from.as_bytes());
        let mut bytes = whole.clone();
        bytes[at.unwrap()..][..to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    for (bytes, what) in [
        (with("end_head", "end_hexd"), "it has no end_head"),
        (with("   1024", "   xyz "), "its size is \"xyz\""),
        (with("   1024", "-1024  "), "its size is \"-1024\""),
        (with("   1024", "9999999"), "its size is \"9999999\""),
        (with("   1024", "     16"), "it has no end_head"),
        (b"NIST_1A with something else behind it".to_vec(), "size"),
    ] {
        let e = error(&folder.with(bytes));
        assert!(matches!(e, AudioError::InvalidHeader { .. }), "{e:?}");
        assert!(e.to_string().contains(what), "{e}");
    }
    let e = error(&folder.with(with("sample_count -i 4", "sample_count -i 0")));
    assert!(matches!(e, AudioError::NoSamples { .. }), "{e:?}");
    // More than a file can hold, not more than a number can.
    let header = Header::new(4, 1, 2).with("sample_count", "-i 18446744073709551615");
    let e = error(&folder.with(header.file(&[0; 8])));
    assert!(matches!(e, AudioError::Truncated { .. }), "{e:?}");
}

proptest! {
    /// Whatever bytes change, there is an answer and no panic.
    #[test]
    fn changed_bytes_never_panic(
        changes in prop::collection::vec((0_usize..1224, any::<u8>()), 1..6),
        cut in 0_usize..1224,
        is_header in any::<bool>(),
    ) {
        let header = Header::new(50, 2, 2).with("sample_coding", "-s3 pcm");
        let mut bytes = header.file(&[3; 200]);
        for (at, byte) in changes {
            let reach = if is_header { 220 } else { bytes.len() };
            bytes[at % reach] = byte;
        }
        bytes.truncate(if cut % 2 == 0 { bytes.len() } else { cut });
        let file = Folder::new();
        let file = file.with(bytes);
        if let Ok(wave) = load_audio(&file) {
            prop_assert!(probe_audio(&file).is_ok());
            prop_assert!(wave.samples().len() <= 50 * 2 * 2 * 16);
        }
    }
}

/// Half of this corpus is SPHERE, half RIFF, all of it named `.WAV`.
#[test]
fn a_corpus_in_the_layout_of_timit_is_read() {
    let Some(folder) = shared("data/timit-layout") else {
        return;
    };
    for (part, magic) in [("TEST", &b"NIST_1A"[..]), ("TRAIN", b"RIFF")] {
        let mut n_files = 0;
        let mut folders = vec![folder.join(part)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|e| e == "WAV") {
                    let bytes = fs::read(&path).unwrap();
                    assert!(bytes.starts_with(magic), "{}", path.display());
                    let wave = decode_audio(&path).unwrap();
                    let n_samples = Some(wave.samples().len() as u64);
                    assert_eq!(probe_audio(&path).unwrap().n_samples, n_samples);
                    if part == "TEST" {
                        let data = bytes[1024..].as_chunks().0.iter();
                        let data = data.map(|&b| f32::from(i16::from_le_bytes(b)) / 32_768.0);
                        assert!(wave.samples().iter().copied().eq(data));
                    }
                    n_files += 1;
                }
            }
        }
        assert!(n_files > 0, "{part}");
    }
}
