//! Types that cross threads may, and are shown in messages.

use std::fmt::Debug;

use braintune_encoding::{
    AlignmentIntervals, AlphaSharing, Alphas, BandSelection, BandedRidgeParams,
    BandedRidgeValidParams, BlockBootstrap, BlockSignFlips, CeilingIntervals, CorrelationNull,
    CorrelationTest, Delays, DesignMatrix, EncodingError, FirDesign, FitEstimate, FitProgress,
    FittedBandedRidge, FittedRidge, Folds, GridEdges, Intervals, NoiseCeiling, NumericalError,
    PairedTest, Region, RegionStatistics, ResponseSource, RidgeParams, RidgeSolver,
    RidgeValidParams, SpaceWeights, VariancePartition, Wilcoxon,
};
use linfa::ParamGuard;

use crate::problem::Problem;

fn crosses<T: Send + ?Sized>() {}

#[test]
fn types_are_send_and_sync_and_have_a_debug_form() {
    fn check<T: Send + Sync + Debug + 'static>() {}
    check::<AlignmentIntervals>();
    check::<AlphaSharing>();
    check::<Alphas>();
    check::<BandSelection>();
    check::<BandedRidgeParams>();
    check::<BandedRidgeValidParams>();
    check::<BlockBootstrap>();
    check::<BlockSignFlips>();
    check::<CeilingIntervals>();
    check::<CorrelationNull>();
    check::<CorrelationTest>();
    check::<Delays>();
    check::<DesignMatrix>();
    check::<EncodingError>();
    check::<FirDesign>();
    check::<FitEstimate>();
    check::<FitProgress>();
    check::<FittedBandedRidge>();
    check::<FittedRidge>();
    check::<Folds>();
    check::<GridEdges>();
    check::<Intervals>();
    check::<NoiseCeiling>();
    check::<NumericalError>();
    check::<PairedTest>();
    check::<Region>();
    check::<RegionStatistics>();
    check::<RidgeParams>();
    check::<RidgeSolver>();
    check::<RidgeValidParams>();
    check::<SpaceWeights>();
    check::<VariancePartition>();
    check::<Wilcoxon>();
    crosses::<Box<dyn ResponseSource + Send>>();
}

#[test]
fn what_holds_matrices_is_shown_by_its_size() {
    let problem = Problem::new(20, 3, 2, 1);
    let params = problem.params("1,10").check().unwrap();
    let solver = params.prepare(&problem.design()).unwrap();
    assert_eq!(
        format!("{solver:?}"),
        "RidgeSolver { n_samples: 20, n_features: 3, precision: Single, is_primal: true, .. }"
    );
    let fitted = solver.fit_voxels(problem.y.view()).unwrap();
    assert_eq!(
        format!("{fitted:?}"),
        "FittedRidge { n_features: 3, n_voxels: 2, .. }"
    );
}
