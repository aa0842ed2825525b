//! Estimates before a fit.

use braintune_encoding::measure_flops_per_s;
use linfa::ParamGuard;

use crate::problem::Problem;

#[test]
fn an_estimate_follows_sizes_and_knows_the_form() {
    for (n_samples, n_features) in [(80, 20), (40, 200)] {
        let problem = Problem::new(n_samples, n_features, 4, 21);
        let params = problem.params("1,10,100").check().unwrap();
        let estimate = params.estimate(n_samples, n_features, 1000);
        let solver = params.prepare(&problem.design()).unwrap();
        assert_eq!(estimate.primal, solver.is_primal());
        let twice = params.estimate(n_samples, n_features, 2000);
        assert_eq!(twice.fit_flops, 2.0 * estimate.fit_flops);
        assert_eq!(twice.decompose_flops, estimate.decompose_flops);
        assert_eq!(
            twice.seconds(1e9),
            (twice.fit_flops + twice.decompose_flops) / 1e9
        );
        // At least the features and one decomposition are in memory.
        let n = n_features.min(n_samples);
        assert!(estimate.fixed_bytes > (4 * (n_samples * n_features + n * n)) as f64);
    }
    let rate = measure_flops_per_s();
    assert!(rate.is_finite() && rate > 1e6, "{rate}");
}
