//! Alignment on the cortex, where a dataset has surfaces: for each participant the reference's last layer, and what
//! tuning to responses changed there.
//!
//! `[n_voxels]` r → PNG in `surfaces/` of the study's folder. Surfaces that are damaged or do not fit are said, the
//! rest of the study stands. Held by `tests/it/study_surfaces.rs`.

use std::path::Path;

use ndarray::Array1;

use super::gather::correlations;
use super::results::{ConditionKind, Excluded, SurfaceView};
use super::steps::{Case, Work};
use super::summary::Found;
use super::surface::{Scale, Surfaces, draw};
use crate::error::{BraintuneError, Result, io_error, with_sources};

/// Folder of the pictures.
const FOLDER: &str = "surfaces";

/// What was drawn, and what could not be.
#[derive(Default)]
pub(super) struct Pictures {
    pub(super) views: Vec<SurfaceView>,
    pub(super) problems: Vec<Excluded>,
}

impl Pictures {
    /// Pictures of everything in `found`, in folder `out`.
    pub(super) fn draw(found: &Found<'_>, out: &Path) -> Result<Self> {
        let dataset = found.study.resolve(&found.study.file.dataset.path);
        let mut pictures = Self::default();
        for (place, who) in found.inputs.participants.iter().enumerate() {
            let surfaces = match Surfaces::find(&dataset, &who.name) {
                Ok(None) => continue,
                Ok(Some(surfaces)) if surfaces.n_voxels() == who.n_voxels => surfaces,
                Ok(Some(surfaces)) => {
                    let why = format!(
                        "its mapper takes {} voxels, the participant has {}",
                        surfaces.n_voxels(),
                        who.n_voxels
                    );
                    pictures.left_out(&who.name, why);
                    continue;
                }
                Err(e) => {
                    pictures.left_out(&who.name, with_sources(&e));
                    continue;
                }
            };
            for model in 0..found.inputs.models.len() {
                pictures.of_model(found, (model, place), &surfaces, out)?;
            }
        }
        Ok(pictures)
    }

    fn left_out(&mut self, who: &str, why: String) {
        self.problems.push(Excluded {
            what: format!("{who}: surfaces"),
            why,
        });
    }

    fn of_model(
        &mut self,
        found: &Found<'_>,
        (model, participant): (usize, usize),
        surfaces: &Surfaces,
        out: &Path,
    ) -> Result<()> {
        let case = |condition| Case {
            model,
            condition,
            participant,
        };
        let Some((layer, before)) = last_layer(found, case(0))? else {
            return Ok(());
        };
        let [name, reference, who] = found.inputs.names(case(0));
        let of_layer = |what: &str| format!("{who}, {name}, layer {layer}: {what}");
        let first = SurfaceView {
            caption: of_layer(&format!("r of held-out stories, {reference}")),
            png: format!("{FOLDER}/{name}-{reference}-{who}.png"),
        };
        self.one(
            (first, "r"),
            &before,
            Scale::Sequential(None),
            surfaces,
            out,
        )?;
        for (condition, of) in found.inputs.conditions.iter().enumerate() {
            if of.kind != ConditionKind::Tuned || condition == 0 {
                continue;
            }
            let Some((_, after)) = last_layer(found, case(condition))? else {
                continue;
            };
            let change = SurfaceView {
                caption: of_layer(&format!("r {} less r {reference}", of.name)),
                png: format!("{FOLDER}/{name}-{}-{who}.png", of.name),
            };
            let change = (change, "difference of r");
            self.one(
                change,
                &(after - &before),
                Scale::Diverging(None),
                surfaces,
                out,
            )?;
        }
        Ok(())
    }

    /// One picture; values that no colours can be found for are said.
    fn one(
        &mut self,
        (view, label): (SurfaceView, &str),
        values: &Array1<f32>,
        scale: Scale,
        surfaces: &Surfaces,
        out: &Path,
    ) -> Result<()> {
        let path = out.join(&view.png);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        }
        match draw(values.view(), surfaces, scale, label, &path) {
            Ok(()) => self.views.push(view),
            Err(e @ BraintuneError::Io { .. }) => return Err(e),
            Err(e) => self.left_out(&view.caption, with_sources(&e)),
        }
        Ok(())
    }
}

/// The last layer of a state that was encoded, and the r of its voxels.
fn last_layer(found: &Found<'_>, case: Case) -> Result<Option<(usize, Array1<f32>)>> {
    let Some(step) = found.step(Work::Encode(case)) else {
        return Ok(None);
    };
    let r = correlations(&found.folder(step))?;
    let last = r.nrows().saturating_sub(1);
    Ok((r.nrows() > 0).then(|| (last, r.row(last).to_owned())))
}
