//! The report: what it says, that it needs nothing but itself, that no name in the data becomes markup, its size.

use std::path::Path;

use braintune::report;
use braintune::study::{
    AlignmentCurve, Condition, ConditionKind, Estimate, LowLevelImpact, StudyResults, SurfaceView,
    VoxelChange,
};

use crate::report_study::{large, small};

fn page(results: &StudyResults) -> String {
    let dir = tempfile::tempdir().unwrap();
    report::html(results, dir.path())
}

fn read_error(dir: &Path) -> String {
    report::read(dir).unwrap_err().to_string()
}

#[test]
fn a_large_study_is_a_small_file_that_needs_nothing_but_itself() {
    let results = large();
    let html = page(&results);
    assert!(html.len() < 5_000_000, "{} bytes", html.len());
    assert_eq!(html, page(&results), "same results, same bytes");
    for foreign in [
        "http://", "https://", "<link", "@import", "url(", "<iframe", "srcset",
    ] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    assert_eq!(html.matches("<script").count(), 1);
    let charts = html.matches("role=\"img\"").count();
    assert_eq!(charts, html.matches("role=\"img\" aria-label=\"").count());
    assert!(charts > 100, "{charts}");
}

#[test]
fn sections_come_in_the_order_of_reading() {
    let html = page(&small());
    let order = [
        "<h1>",
        "Does tuning a speech model",
        "class=\"alerts\"",
        "id=\"settings\"",
        "FIR delays",
        "id=\"finding\"",
        "id=\"alignment\"",
        "id=\"probes\"",
        "id=\"voxels\"",
        "id=\"regions\"",
        "id=\"impact\"",
        "id=\"training\"",
        "id=\"tables\"",
        "id=\"excluded\"",
        "id=\"warnings\"",
        "id=\"sharing\"",
        "id=\"steps\"",
        "id=\"provenance\"",
        "schema version 1",
    ];
    let places: Vec<usize> = order
        .iter()
        .map(|part| html.find(part).unwrap_or_else(|| panic!("no {part}")))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    // What must not be missed is said at the top, with a link.
    let top = &html[places[2]..places[3]];
    for alert in [
        "<a href=\"#warnings\">2 warnings</a>",
        "<a href=\"#steps\">1 step was not done</a>",
        "<a href=\"#excluded\">2 things were left out</a>",
    ] {
        assert!(top.contains(alert), "{top}");
    }
    assert!(html.contains("ends after 3.1 s of 612 s"));
}

/// A study of two participants whose late layers (the last of 4 states) are known.
fn known() -> StudyResults {
    let mut results = StudyResults::new("Known", "What is in it?");
    for (name, kind) in [
        ("pretrained", ConditionKind::Pretrained),
        ("brain-tuned", ConditionKind::Tuned),
    ] {
        results.conditions.push(Condition {
            name: name.to_owned(),
            kind,
        });
    }
    let r = |value| Estimate {
        value: Some(value),
        low: None,
        high: None,
    };
    for (participant, condition, values) in [
        ("A", "pretrained", [0.1, 0.3, 0.2, 0.1]),
        ("B", "pretrained", [0.1, 0.5, 0.4, 0.3]),
        ("A", "brain-tuned", [0.1, 0.3, 0.3, 0.4]),
        ("B", "brain-tuned", [0.1, 0.4, 0.4, 0.26]),
    ] {
        results.curves.push(AlignmentCurve {
            model: "m".to_owned(),
            condition: condition.to_owned(),
            participant: participant.to_owned(),
            roi: "all".to_owned(),
            n_voxels: 7,
            mean_r: values.map(r).to_vec(),
            normalized: Vec::new(),
            q_value: Vec::new(),
        });
    }
    results
}

#[test]
fn the_finding_is_what_the_numbers_say() {
    let html = page(&known());
    // Late: (0.1 + 0.3) / 2 and (0.4 + 0.26) / 2, higher in A only; both means are highest in layer 1.
    let words = "m: in late layers (3) mean r over all voxels is 0.200 pretrained and 0.330 brain-tuned: +0.130 (+65.0 %), higher in 1 of 2 participants.";
    assert!(html.contains(words), "{html}");
    assert!(html.contains("No test of it is among these results."));
    assert!(html.contains("peaks in layer 1 pretrained, in layer 1 brain-tuned"));
    // Standard error of 0.1 and 0.3 is 0.1.
    assert!(html.contains("pretrained 0.200 (0.100 to 0.300)"));
}

#[test]
fn ceilings_are_used_where_every_participant_has_them() {
    let mut results = known();
    for curve in &mut results.curves {
        curve.normalized = vec![Some(0.5); 4];
    }
    assert!(page(&results).contains("mean of r / noise ceiling over all voxels is 0.500"));
    results.curves[1].normalized = vec![None; 4];
    results.curves[3].normalized = vec![None; 4];
    assert!(
        page(&results).contains("mean r over all voxels is 0.200"),
        "B has none"
    );
}

#[test]
fn a_test_story_that_tuning_has_read_is_told_at_the_top() {
    let mut results = small();
    results.sharing[0]
        .tuning
        .push("wheretheressmoke".to_owned());
    let html = page(&results);
    assert!(html.contains("1 participant has a test story that was read before"));
    assert!(html.contains("wheretheressmoke of the test was also read before it"));
}

#[test]
fn names_never_become_markup_or_paths() {
    let evil = "../<script>alert(1)</script>\"'&";
    let mut results = small();
    results.title = evil.to_owned();
    results.question = evil.to_owned();
    results.models = vec![evil.to_owned()];
    results.warnings.push(evil.to_owned());
    results.rois[1] = evil.to_owned();
    results.provenance = serde_json::json!({ evil: evil });
    results.settings[0].value = evil.to_owned();
    results.surfaces.push(SurfaceView {
        caption: evil.to_owned(),
        png: "../outside.png".to_owned(),
    });
    for curve in &mut results.curves {
        curve.model = evil.to_owned();
        if curve.roi == "auditory" {
            curve.roi = evil.to_owned();
        }
    }
    for probe in &mut results.probes {
        (probe.model, probe.task) = (evil.to_owned(), evil.to_owned());
    }
    for change in &mut results.voxels {
        (change.model, change.participant) = (evil.to_owned(), evil.to_owned());
    }
    for run in &mut results.training {
        (run.model, run.participant) = (evil.to_owned(), evil.to_owned());
    }
    if let Some(step) = results.steps.last_mut() {
        step.problem = Some(evil.to_owned());
    }
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("study");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(folder.path().join("outside.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let path = report::write(&results, &dir).unwrap();
    let html = std::fs::read_to_string(path).unwrap();
    assert_eq!(html.matches("<script").count(), 1);
    assert!(!html.contains("alert(1)</script>"));
    assert!(html.contains("is not in the study&#39;s folder"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    for entry in std::fs::read_dir(dir.join("figures")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "svg") {
            let svg = std::fs::read_to_string(&path).unwrap();
            let parsed = roxmltree::Document::parse(&svg).unwrap();
            assert!(
                parsed
                    .descendants()
                    .all(|node| !node.has_tag_name("script"))
            );
        }
    }
}

#[test]
fn figures_and_tables_are_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let results = small();
    let page = report::write(&results, dir.path()).unwrap();
    assert_eq!(page, dir.path().join("report.html"));
    let html = std::fs::read_to_string(&page).unwrap();
    let names = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(dir.path().join(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    };
    let figures = names("figures");
    for name in [
        "alignment-tiny",
        "best-tiny",
        "late-tiny",
        "probes-tiny",
        "training-tiny",
    ] {
        for end in ["svg", "png"] {
            assert!(figures.contains(&format!("{name}.{end}")), "{figures:?}");
        }
        assert!(
            html.contains(&format!("href=\"figures/{name}.svg\"")),
            "{name}"
        );
    }
    let svg = std::fs::read_to_string(dir.path().join("figures/alignment-tiny.svg")).unwrap();
    let parsed = roxmltree::Document::parse(&svg).unwrap();
    let lines = parsed
        .descendants()
        .filter(|node| node.has_tag_name("polyline"));
    // 4 regions of 5 conditions and 2 baselines, and as many in the legend.
    assert_eq!(lines.count(), 4 * 7 + 7);
    assert!(!svg.contains("var("), "a file has colours of its own");
    let png = std::fs::read(dir.path().join("figures/alignment-tiny.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let table = |name: &str| {
        let path = dir.path().join("tables").join(name);
        csv::Reader::from_path(path)
            .unwrap()
            .records()
            .map(Result::unwrap)
            .count()
    };
    assert_eq!(table("alignment.csv"), 2 * 5 * 4 * 7);
    assert_eq!(table("comparisons.csv"), results.comparisons.len());
    assert_eq!(table("late_layers.csv"), 4 * 4);
    assert_eq!(table("steps.csv"), results.steps.len());

    let all = |dir: &Path| -> Vec<Vec<u8>> {
        let figures = figures.iter().map(|name| dir.join("figures").join(name));
        figures.map(|path| std::fs::read(path).unwrap()).collect()
    };
    let again = tempfile::tempdir().unwrap();
    report::write(&results, again.path()).unwrap();
    assert!(
        all(dir.path()) == all(again.path()),
        "same results, same bytes"
    );
}

#[test]
fn pictures_of_surfaces_are_in_the_page() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("surfaces")).unwrap();
    std::fs::write(dir.path().join("surfaces/a.png"), b"\x89PNG\r\n\x1a\nrest").unwrap();
    std::fs::write(dir.path().join("surfaces/b.png"), b"no picture").unwrap();
    let mut results = small();
    for name in ["a", "b", "c"] {
        results.surfaces.push(SurfaceView {
            caption: format!("view {name}"),
            png: format!("surfaces/{name}.png"),
        });
    }
    let html = report::html(&results, dir.path());
    assert!(html.contains("<img src=\"data:image/png;base64,iVBORw0KGgpyZXN0\" alt=\"view a\">"));
    assert!(html.contains("view b cannot be shown: surfaces/b.png is no PNG"));
    assert!(html.contains("view c cannot be shown: surfaces/c.png"));
}

#[test]
fn a_study_reads_back_and_what_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study.json");
    let results = small();
    let json = serde_json::to_string(&results).unwrap();
    std::fs::write(&path, &json).unwrap();
    assert_eq!(report::read(dir.path()).unwrap(), results);

    std::fs::write(
        &path,
        json.replacen("\"schema_version\":1", "\"schema_version\":7", 1),
    )
    .unwrap();
    let error = read_error(dir.path());
    assert!(
        error.contains("study.json")
            && error.contains("schema_version 7, this version of braintune reads 1"),
        "{error}"
    );

    std::fs::write(&path, &json[..json.len() / 2]).unwrap();
    let error = read_error(dir.path());
    assert!(
        error.contains("is damaged") && error.contains("line 1"),
        "{error}"
    );

    std::fs::write(&path, "{\"a\": 1}").unwrap();
    assert!(read_error(dir.path()).contains("no schema_version"));

    std::fs::write(&path, json.replacen("\"title\"", "\"tilte\"", 1)).unwrap();
    assert!(read_error(dir.path()).contains("tilte"));
}

#[test]
fn a_folder_of_encode_and_probe_is_a_small_study() {
    let dir = tempfile::tempdir().unwrap();
    assert!(read_error(dir.path()).contains("no study.json, no alignment.csv and no probes.csv"));
    assert!(read_error(&dir.path().join("gone")).contains("is no folder"));
    std::fs::write(
        dir.path().join("alignment.csv"),
        "subject,model,layer,roi,n_voxels,mean_r,mean_r_normalized,ci_low,ci_high,q_value\n\
         S1,m,0,all,9,0.1,,0.05,0.15,0.01\nS1,m,0,A1,3,0.2,,,,\nS1,m,1,all,9,0.3,,0.2,0.4,0.001\nS1,m,1,A1,3,0.1,,,,\n",
    )
    .unwrap();
    std::fs::write(
        dir.path().join("probes.csv"),
        "task,model,layer,metric,value,ci_low,ci_high,n_train,n_test,n_groups\n\
         words,m,0,accuracy,0.6,0.5,0.7,12,4,2\nwords,m,0,macro_f1,0.5,,,12,4,2\nwords,m,0,baseline,0.5,,,12,4,2\n\
         words,m,1,accuracy,0.9,0.8,1,12,4,2\nwords,m,1,peak_layer,1,1,1,12,4,2\n",
    )
    .unwrap();
    let results = report::read(dir.path()).unwrap();
    assert_eq!(
        (&results.models[..], &results.rois[..]),
        (
            &["m".to_owned()][..],
            &["all".to_owned(), "A1".to_owned()][..]
        )
    );
    assert_eq!(results.curves.len(), 2);
    assert_eq!(results.curves[0].mean_r[1].value, Some(0.3));
    assert_eq!(results.curves[0].q_value, [Some(0.01), Some(0.001)]);
    assert_eq!(results.probes[0].scores.len(), 2);
    assert_eq!(results.probes[0].baseline, Some(0.5));
    let path = report::write(&results, dir.path()).unwrap();
    let html = std::fs::read_to_string(path).unwrap();
    assert!(html.contains("m: mean r over all voxels is highest in layer 1 (0.300)."));
    assert!(html.contains("A1 has the highest, in layer 0 (0.200)."));
    assert!(html.contains("probes are best in layer: words 1 as given (0.900)."));

    std::fs::write(
        dir.path().join("alignment.csv"),
        "subject,model,layer,roi,mean_r\nS1,m,0,all,much\n",
    )
    .unwrap();
    let error = read_error(dir.path());
    assert!(
        error.contains("alignment.csv: line 2: mean_r is \"much\", expected a number"),
        "{error}"
    );
    std::fs::write(
        dir.path().join("alignment.csv"),
        "subject,layer,roi,mean_r\n",
    )
    .unwrap();
    assert!(read_error(dir.path()).contains("has no column model, only subject"));
    std::fs::write(
        dir.path().join("alignment.csv"),
        "subject,model,layer,roi,mean_r\nS1,m,99999999999,all,0.1\n",
    )
    .unwrap();
    assert!(read_error(dir.path()).contains("layer is \"99999999999\""));
}

#[test]
fn what_is_missing_is_left_out_and_nothing_odd_stops_a_report() {
    let html = page(&StudyResults::new("Nothing", "Is there anything?"));
    assert!(html.contains("No alignment is among these results."));
    for part in [
        "id=\"alignment\"",
        "id=\"surfaces\"",
        "id=\"training\"",
        "id=\"steps\"",
    ] {
        assert!(!html.contains(part), "{part}");
    }
    let mut results = known();
    results.curves[0].mean_r[2].value = None;
    results.curves[1].mean_r[3].value = Some(f64::NAN);
    results.curves[2].mean_r.truncate(1);
    results.low_level.push(LowLevelImpact {
        feature: "f".to_owned(),
        model: "m".to_owned(),
        condition: "pretrained".to_owned(),
        participant: "A".to_owned(),
        roi: "all".to_owned(),
        layer: usize::MAX,
        full: Some(f64::INFINITY),
        residual: None,
        impact: Some(1e300),
    });
    results.voxels.push(VoxelChange {
        model: "m".to_owned(),
        condition: "brain-tuned".to_owned(),
        reference: "pretrained".to_owned(),
        participant: "A".to_owned(),
        layer: 3,
        edges: vec![0.0],
        before: vec![usize::MAX; 3],
        after: vec![usize::MAX],
        joint: vec![(usize::MAX, 2, usize::MAX)],
    });
    let dir = tempfile::tempdir().unwrap();
    let path = report::write(&results, dir.path()).unwrap();
    let html = std::fs::read_to_string(path).unwrap();
    assert!(!html.contains("NaN") && !html.contains("\"inf"), "{html}");
}
