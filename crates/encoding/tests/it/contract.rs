use std::fmt::Debug;

use braintune_encoding::{
    Alphas, CvScore, Delays, DesignMatrix, EncodingError, FittedRidge, Folds, GridEdges, Ridge,
    RidgeParams, RidgeSolver, RidgeValidParams, Solver, check_encoding_model,
};
use linfa::ParamGuard;

#[test]
fn ridge_keeps_the_contract_of_encoding_models() {
    let groups: Vec<i64> = (0..120).map(|row| row / 30).collect();
    for solver in [Solver::Primal, Solver::Dual] {
        for intercept in [false, true] {
            let params = Ridge::params("0.01,0.1,1".parse().unwrap())
                .folds(Folds::leave_one_group_out(&groups).unwrap())
                .solver(solver)
                .intercept(intercept);
            check_encoding_model(&params.check().unwrap());
        }
    }
    check_encoding_model(&Ridge::params("0.1".parse().unwrap()).check().unwrap());
}

#[test]
fn autotraits() {
    fn shared<T: Send + Sync + Unpin + 'static>() {}
    fn plain<T: Clone + Debug + PartialEq>() {}
    shared::<FittedRidge>();
    shared::<RidgeSolver>();
    shared::<EncodingError>();
    shared::<RidgeValidParams>();
    plain::<Alphas>();
    plain::<Delays>();
    plain::<Folds>();
    plain::<DesignMatrix>();
    plain::<RidgeParams>();
    plain::<GridEdges>();
    plain::<CvScore>();
}
