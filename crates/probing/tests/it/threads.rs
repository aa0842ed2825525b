//! The same bits for any number of threads.

use braintune_probing::{AdamProbe, Classes, Logistic, Mlp};
use linfa::ParamGuard;

use crate::problem::problem;

#[test]
fn fits_do_not_depend_on_the_number_of_threads() {
    // Several blocks and chunks, the last block not full.
    let problem = problem(3000, 7, 5, 1.0, 41);
    let (x, classes) = (problem.x.view(), Classes::new(&problem.labels, 5).unwrap());
    let fits = || {
        let logistic = Logistic::params(1.0)
            .check()
            .unwrap()
            .fit(x, classes)
            .unwrap();
        let labels = Logistic::params(1.0)
            .check()
            .unwrap()
            .fit(x, problem.flags.view())
            .unwrap();
        let adam = AdamProbe::params(5)
            .check()
            .unwrap()
            .fit(x, classes)
            .unwrap();
        let net = Mlp::params(3).batch_size(700).check().unwrap();
        let net = net.fit((x, classes), (x, classes)).unwrap();
        [
            logistic.scores(x).unwrap(),
            labels.scores(x).unwrap(),
            adam.scores(x).unwrap(),
            net.scores(x).unwrap(),
        ]
    };
    let with = |n| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(n)
            .build()
            .unwrap();
        pool.install(fits)
    };
    assert_eq!(with(1), with(4));
}
