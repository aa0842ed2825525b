//! Where a report's numbers come from: `study.json`, or what `encode` and `probe` have left in a folder.

use std::collections::BTreeSet;
use std::path::Path;

use crate::encode::read_alignment;
use crate::error::{Result, file_error, io_error};
use crate::probe::read_probes;
use crate::study::{
    Condition, ConditionKind, SCHEMA_VERSION, Setting, StudyResults, alignment_curves, probe_curves,
};

/// The one condition of a folder without a study: models as they were given.
const AS_GIVEN: &str = "as given";
pub(super) fn read(dir: &Path) -> Result<StudyResults> {
    let path = dir.join("study.json");
    let mut results = match std::fs::read(&path) {
        Ok(bytes) => of_study(&path, &bytes)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => of_tables(dir)?,
        Err(e) => return Err(io_error("read", &path)(e)),
    };
    complete(&mut results);
    Ok(results)
}

fn of_study(path: &Path, bytes: &[u8]) -> Result<StudyResults> {
    let damaged = |e: serde_json::Error| {
        file_error(
            path,
            format!("is damaged or no study's results ({e}); run braintune study again"),
        )
    };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    match value.get("schema_version").map(serde_json::Value::as_u64) {
        Some(Some(version)) if version == u64::from(SCHEMA_VERSION) => {}
        Some(Some(version)) => {
            return Err(file_error(
                path,
                format!(
                    "has schema_version {version}, this version of braintune reads {SCHEMA_VERSION}; use the version that wrote it, or run braintune study again"
                ),
            ));
        }
        _ => {
            return Err(file_error(
                path,
                "has no schema_version, so it is no study's results; run braintune study again",
            ));
        }
    }
    // Once more from the bytes: an error then says its line.
    serde_json::from_slice(bytes).map_err(damaged)
}

/// A small study out of tables.
fn of_tables(dir: &Path) -> Result<StudyResults> {
    let [alignment, probes] = ["alignment.csv", "probes.csv"].map(|name| dir.join(name));
    if !alignment.is_file() && !probes.is_file() {
        let problem = if dir.is_dir() {
            "has no study.json, no alignment.csv and no probes.csv; give a folder that braintune study, encode or probe has written"
        } else {
            "is no folder; give one that braintune study, encode or probe has written"
        };
        return Err(file_error(dir, problem));
    }
    let name = dir.canonicalize().ok();
    let name = name.as_deref().and_then(Path::file_name);
    let name = name.map_or_else(
        || dir.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let mut results = StudyResults::new(&name, "");
    results.conditions.push(Condition {
        name: AS_GIVEN.to_owned(),
        kind: ConditionKind::Pretrained,
    });
    if alignment.is_file() {
        results.curves = alignment_curves(&read_alignment(&alignment)?, AS_GIVEN);
        setting(&mut results, "alignment.csv", "written by braintune encode");
    }
    if probes.is_file() {
        results.probes = probe_curves(&read_probes(&probes)?, AS_GIVEN);
        setting(&mut results, "probes.csv", "written by braintune probe");
    }
    let provenance = dir.join("provenance.json");
    if let Ok(bytes) = std::fs::read(&provenance) {
        results.provenance =
            serde_json::from_slice(&bytes).map_err(|e| file_error(&provenance, e))?;
    }
    Ok(results)
}

fn setting(results: &mut StudyResults, name: &str, value: &str) {
    results.settings.push(Setting {
        name: name.to_owned(),
        value: value.to_owned(),
    });
}

/// Names that only results have join the lists.
pub(super) fn complete(results: &mut StudyResults) {
    fn joined<'a>(known: &[String], more: impl Iterator<Item = &'a String>) -> Vec<String> {
        let mut names = known.to_vec();
        let mut seen: BTreeSet<String> = known.iter().cloned().collect();
        for name in more {
            if seen.insert(name.clone()) {
                names.push(name.clone());
            }
        }
        names
    }
    let r = &*results;
    let models = r.curves.iter().map(|of| &of.model);
    let models = models.chain(r.probes.iter().map(|of| &of.model));
    let models = models.chain(r.voxels.iter().map(|of| &of.model));
    let models = models.chain(r.low_level.iter().map(|of| &of.model));
    let models = models.chain(r.training.iter().map(|of| &of.model));
    let conditions = r.curves.iter().map(|of| &of.condition);
    let conditions = conditions.chain(r.probes.iter().map(|of| &of.condition));
    let conditions = conditions.chain(r.low_level.iter().map(|of| &of.condition));
    let rois = r.curves.iter().map(|of| &of.roi);
    let rois = rois.chain(r.low_level.iter().map(|of| &of.roi));
    let named: Vec<_> = r.conditions.iter().map(|of| of.name.clone()).collect();
    let models = joined(&r.models, models);
    let participants = joined(&r.participants, r.curves.iter().map(|of| &of.participant));
    let rois = joined(&r.rois, rois);
    let conditions = joined(&named, conditions);
    let unknown = conditions.into_iter().skip(named.len());
    results.conditions.extend(unknown.map(|name| Condition {
        name,
        kind: ConditionKind::Control,
    }));
    (results.models, results.participants, results.rois) = (models, participants, rois);
}
