//! `extract`: the file that it writes.

use crate::workplace::{assert_refused, braintune, model, stderr, workplace};

#[test]
fn windows_and_whole_clips_are_written() {
    let folder = workplace();
    let model = model();
    let story = std::fs::read_dir(folder.path().join("dataset/stimuli"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let base = [
        "extract",
        "--model",
        model.to_str().unwrap(),
        "--audio",
        story.to_str().unwrap(),
    ];
    let mut args = base.to_vec();
    args.extend([
        "--out",
        "new/f.safetensors",
        "--window-s",
        "4",
        "--stride-s",
        "4",
    ]);
    let output = braintune(folder.path(), &args);
    assert!(output.status.success(), "{}", stderr(&output));
    let bytes = std::fs::read(folder.path().join("new/f.safetensors")).unwrap();
    let header = String::from_utf8_lossy(&bytes[8..400]).into_owned();
    for name in ["hidden_states.0", "hidden_states.2", "times"] {
        assert!(header.contains(name), "{header}");
    }
    assert!(
        folder
            .path()
            .join("new/f.safetensors.provenance.json")
            .exists()
    );
    let mut args = base.to_vec();
    args.extend(["--out", "w.safetensors", "--whole"]);
    assert_refused(
        &braintune(folder.path(), &args),
        &["longer than the 30 s", "--window-s"],
    );
    assert!(!folder.path().join("w.safetensors").exists());
}
