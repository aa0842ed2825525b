//! One ridge per layer: delays, folds, voxel tiles, correlation on the test stories.
//!
//! `[n_trs, d_model]` per story → design `[n_train_trs, d_model · n_delays]` → `r` and best alpha
//! per voxel. A finished layer is kept on disk until the whole job is done.

use std::ops::{ControlFlow, Range};
use std::path::Path;

use braintune_encoding::{
    FirDesign, FitProgress, FittedRidge, ResponseSource, Ridge, RidgeValidParams, pearson_r,
};
use braintune_fmri::StoryDataset;
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};

use super::config::EncodeConfig;
use super::features::TrFeatures;
use super::inputs::Inputs;
use super::output;
use super::responses::StackedResponses;
use crate::error::Result;
use crate::event::{Event, OnEvent};

/// Result of one layer, one value per voxel.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct LayerResult {
    /// Pearson r on the test rows.
    pub(super) r: Vec<f32>,
    /// The alpha that was chosen.
    pub(super) best_alpha: Vec<f64>,
}

/// Training and test responses of the participant, in tiles.
struct Responses<'a> {
    train: StackedResponses<'a>,
    test: StackedResponses<'a>,
}

pub(super) fn fit_all(
    dataset: &dyn StoryDataset,
    inputs: &Inputs,
    config: &EncodeConfig,
    features: &TrFeatures,
    (out, key): (&Path, &str),
    on: &mut OnEvent<'_>,
) -> Result<Vec<LayerResult>> {
    let stacked = |stories| StackedResponses {
        dataset,
        subject: &config.subject,
        stories,
        n_voxels: inputs.n_voxels,
    };
    let responses = Responses {
        train: stacked(&inputs.train),
        test: stacked(&inputs.test),
    };
    let folds = inputs.folds(config)?;
    let params = Ridge::params(config.alphas.clone())
        .folds(folds)
        .score(config.score)
        .check()?;
    let n_layers = features.train.first().map_or(0, Vec::len);
    let mut results = Vec::with_capacity(n_layers);
    for layer in 0..n_layers {
        if let Some(result) = output::read_layer(out, layer, key, inputs.n_voxels) {
            results.push(result);
            continue;
        }
        let of_layer = |stories: &[Vec<Array2<f32>>]| -> Result<FirDesign> {
            let views: Vec<_> = stories.iter().map(|story| story[layer].view()).collect();
            design(&views, config)
        };
        let (x, x_test) = (of_layer(&features.train)?, of_layer(&features.test)?);
        let mut progress = |progress| on(event(progress, layer, n_layers));
        let result = fit_layer(
            &params,
            &x,
            x_test.to_design().view(),
            &responses,
            config,
            &mut progress,
        )?;
        output::write_layer(out, layer, key, &result)?;
        results.push(result);
    }
    Ok(results)
}

/// Features of all stories under their delays.
fn design(stories: &[ArrayView2<'_, f32>], config: &EncodeConfig) -> Result<FirDesign> {
    let delays = config.delays.clone();
    if config.delays_cross_stories {
        let stacked = concatenate(Axis(0), stories)
            .map_err(|e| crate::BraintuneError::Input(e.to_string()))?;
        return Ok(FirDesign::new(&[stacked.view()], delays)?);
    }
    Ok(FirDesign::new(stories, delays)?)
}

fn fit_layer(
    params: &RidgeValidParams,
    x: &FirDesign,
    x_test: ArrayView2<'_, f32>,
    responses: &Responses<'_>,
    config: &EncodeConfig,
    on: &mut dyn FnMut(FitProgress) -> ControlFlow<()>,
) -> Result<LayerResult> {
    let solver = params.prepare_fir(x, on)?;
    let n_voxels = responses.train.n_voxels();
    let mut result = LayerResult {
        r: Vec::with_capacity(n_voxels),
        best_alpha: Vec::with_capacity(n_voxels),
    };
    let mut failure = None;
    let edges = solver.fit_source(
        &responses.train,
        config.memory_budget,
        on,
        |voxels, fitted| match test_correlation(&fitted, x_test, &responses.test, voxels) {
            Ok(r) => {
                result.r.extend(r);
                result.best_alpha.extend(fitted.best_alphas());
                ControlFlow::Continue(())
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        },
    );
    if let Some(error) = failure {
        return Err(error);
    }
    edges?;
    Ok(result)
}

fn test_correlation(
    fitted: &FittedRidge,
    x_test: ArrayView2<'_, f32>,
    test: &StackedResponses<'_>,
    voxels: Range<usize>,
) -> Result<Vec<f32>> {
    let y = test
        .read(voxels.clone())
        .map_err(|source| braintune_encoding::EncodingError::Read { voxels, source })?;
    let predicted = fitted.predict(x_test)?;
    Ok(pearson_r(predicted.slice(s![.., ..]), y.view())?.to_vec())
}

fn event(progress: FitProgress, layer: usize, n_layers: usize) -> Event<'static> {
    match progress {
        FitProgress::Decomposed { done, total } => Event::Decomposing {
            layer,
            n_layers,
            done,
            total,
        },
        FitProgress::Fitted { done, total } => Event::Fitting {
            layer,
            n_layers,
            done,
            total,
        },
        _ => Event::Stage("fit"),
    }
}
