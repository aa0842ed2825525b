//! Everything that a report shows, in the order in which it is read.

use std::path::{Component, Path};

use base64::Engine as _;

use super::files::told_apart;
use super::table::Table;
use super::view::View;
use super::{alignment, finding, impact, probes, tables, training, voxels};
use crate::chart::Figure;
use crate::study::{DataSharing, StudyResults, SurfaceView};

/// Of a record of where numbers come from, a page shows this much.
const MOST_PROVENANCE: usize = 200_000;

/// A study with its figures, tables and words.
pub(super) struct Report<'a> {
    pub(super) results: &'a StudyResults,
    /// What was found, a paragraph each.
    pub(super) finding: Vec<String>,
    pub(super) sections: Vec<Section>,
    pub(super) tables: Vec<Table>,
    /// Captions and pictures as data URIs, or why there is none.
    pub(super) surfaces: Vec<(String, Result<String, String>)>,
    /// What is to be known of shared data, a sentence, of how many participants, and whether it is a problem.
    pub(super) sharing: Vec<(String, usize, bool)>,
    pub(super) provenance: String,
}

/// Figures under a heading.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) figures: Vec<Figure>,
}

impl<'a> Report<'a> {
    pub(super) fn new(results: &'a StudyResults, dir: &Path) -> Self {
        let view = View::new(results);
        let section = |id, title, figures| Section { id, title, figures };
        let mut sections = vec![
            section("alignment", "Alignment per layer", alignment::curves(&view)),
            section("probes", "Probes per layer", probes::figures(&view)),
            section("voxels", "Voxels before and after", voxels::figures(&view)),
            section("regions", "Regions", alignment::bars(&view)),
            section("impact", "Low-level impact", impact::figures(&view)),
            section("training", "Training", training::figures(&view)),
        ];
        let figures = sections.iter_mut().flat_map(|section| &mut section.figures);
        told_apart(figures.map(|figure| &mut figure.name));
        let surfaces = results.surfaces.iter();
        let surfaces = surfaces.map(|view| (view.caption.clone(), picture(view, dir)));
        Self {
            results,
            finding: finding::words(&view),
            sections,
            tables: tables::all(&view),
            surfaces: surfaces.collect(),
            sharing: sharing(results),
            provenance: provenance(&results.provenance),
        }
    }

    pub(super) fn figures(&self) -> Vec<&Figure> {
        let sections = self.sections.iter();
        sections.flat_map(|section| &section.figures).collect()
    }
}

/// A picture of the study's own folder as a data URI.
fn picture(view: &SurfaceView, dir: &Path) -> Result<String, String> {
    let name = Path::new(&view.png);
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !name.components().all(inside) {
        return Err(format!("{} is not in the study's folder", view.png));
    }
    let bytes = std::fs::read(dir.join(name)).map_err(|e| format!("{}: {e}", view.png))?;
    if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Err(format!("{} is no PNG", view.png));
    }
    let text = base64::engine::general_purpose::STANDARD.encode(bytes);
    Ok(format!("data:image/png;base64,{text}"))
}

/// Participants of whom the same holds are told of together.
fn sharing(results: &StudyResults) -> Vec<(String, usize, bool)> {
    let mut told: Vec<(Vec<&str>, (String, bool))> = Vec::new();
    for of in &results.sharing {
        let words = shared(of);
        match told.iter_mut().find(|(_, known)| *known == words) {
            Some((names, _)) => names.push(&of.participant),
            None => told.push((vec![&of.participant], words)),
        }
    }
    let told = told.into_iter().map(|(names, (words, problem))| {
        let n = names.len();
        (format!("{}: {words}", names.join(", ")), n, problem)
    });
    told.collect()
}

fn shared(of: &DataSharing) -> (String, bool) {
    let read = of.tuning.iter().chain(&of.validation).chain(&of.encoding);
    let twice: Vec<_> = read.filter(|story| of.test.contains(story)).collect();
    let results = match (twice.is_empty(), of.test.is_empty()) {
        (_, true) => String::from("; no test story is named."),
        (true, _) => format!(
            "; results are from {}, which nothing was tuned, chosen or fitted on.",
            of.test.join(", ")
        ),
        (false, _) => {
            let mut names: Vec<_> = twice.iter().map(|story| story.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            format!(
                "; results are not from new data: {} of the test was also read before it.",
                names.join(", ")
            )
        }
    };
    let words = format!(
        "tuning has read {:.0} % of the TRs that encoding models were fitted on{results}",
        100.0 * of.shared
    );
    (words, !twice.is_empty())
}

fn provenance(value: &serde_json::Value) -> String {
    if value.is_null() {
        return String::new();
    }
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    if text.len() > MOST_PROVENANCE {
        let end = (0..=MOST_PROVENANCE).rev();
        let end = end.into_iter().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text += "\n… the rest is in study.json";
    }
    text
}
