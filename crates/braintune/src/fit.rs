//! Fits of all voxels, part by part: errors of a caller's own, and progress as events.

use std::ops::{ControlFlow, Range};

use braintune_encoding::{
    EncodingError, FitProgress, FittedRidge, GridEdges, OnProgress, ResponseSource, RidgeSolver,
};
use ndarray::Array2;

use crate::error::Result;
use crate::event::Event;

/// Fits all voxels of `y`; each part goes to `each`, whose error ends the fit.
pub(crate) fn fit_voxels(
    solver: &RidgeSolver,
    y: &dyn ResponseSource,
    memory_budget: usize,
    on: &mut OnProgress<'_>,
    mut each: impl FnMut(Range<usize>, &FittedRidge) -> Result<()>,
) -> Result<GridEdges> {
    let mut failure = None;
    let edges = solver.fit_source(y, memory_budget, on, |voxels, fitted| {
        match each(voxels, &fitted) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(edges?),
    }
}

/// Responses of some voxels, `[n_samples, voxels.len()]`.
pub(crate) fn read(y: &dyn ResponseSource, voxels: Range<usize>) -> Result<Array2<f32>> {
    let read = y.read(voxels.clone());
    Ok(read.map_err(|source| EncodingError::Read { voxels, source })?)
}

/// What a pipeline tells of the fit of one of its layers.
pub(crate) fn event(progress: FitProgress, layer: usize, n_layers: usize) -> Event<'static> {
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

#[cfg(test)]
mod tests {
    use braintune_encoding::{DesignMatrix, Ridge};
    use linfa::ParamGuard;
    use ndarray::array;

    use super::*;
    use crate::error::BraintuneError;

    #[test]
    fn an_error_of_the_caller_is_what_ends_the_fit() {
        let x = DesignMatrix::from(array![[1.0_f32, 0.0], [0.0, 1.0], [1.0, 1.0]]);
        let y = array![[1.0_f32], [2.0], [3.0]];
        let params = Ridge::params("1".parse().expect("an alpha")).check();
        let go_on = &mut |_| ControlFlow::Continue(());
        let solver = params.expect("they are fine").prepare_observed(&x, go_on);
        let solver = solver.expect("it decomposes");
        let failed = fit_voxels(&solver, &y, 1 << 20, go_on, |_, _| {
            Err(BraintuneError::Input("no room".to_owned()))
        });
        assert_eq!(failed.expect_err("it failed").to_string(), "no room");
        let mut seen = Vec::new();
        let edges = fit_voxels(&solver, &y, 1 << 20, go_on, |voxels, _| {
            seen.push(voxels);
            Ok(())
        });
        edges.expect("it is fitted");
        assert_eq!(seen, vec![0..1; 1]);
    }
}
