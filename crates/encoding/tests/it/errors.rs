//! Bad input, each with one message that says what to do.

use braintune_encoding::{
    Alphas, DesignMatrix, EncodingError, EncodingModel, FeatureSpace, Ridge, Solver,
};
use linfa::ParamGuard;
use ndarray::{Array2, s};

use crate::problem::Problem;

fn alphas(text: &str) -> String {
    text.parse::<Alphas>().unwrap_err().to_string()
}

#[test]
fn alphas_are_named() {
    let rule = "alphas must be finite and above zero (the penalty is alpha squared)";
    assert_eq!(alphas("1,0"), format!("alpha 1 of the grid is 0: {rule}"));
    assert_eq!(alphas("-3"), format!("alpha 0 of the grid is -3: {rule}"));
    assert_eq!(alphas("nan"), format!("alpha 0 of the grid is NaN: {rule}"));
    assert_eq!(
        alphas("logspace:1:400:3"),
        format!("alpha 2 of the grid is inf: {rule}")
    );
    assert_eq!(
        alphas("1,100,10"),
        "alpha 2 of the grid is 10 after 100: alphas must be strictly increasing"
    );
    assert!(alphas("logspace:4:1:15").contains("strictly increasing"));
    assert!(alphas("1,1").contains("strictly increasing"));
    for text in [
        "",
        "a",
        "1;2",
        "logspace:1:4",
        "logspace:1:4:-2",
        "logspace:1:4:1.5",
        "logspace:1:4:15:3",
    ] {
        assert!(alphas(text).contains("is no grid of alphas"), "{text}");
    }
    assert_eq!(
        alphas("logspace:1:4:0"),
        "a grid of 0 alphas, expected 1 to 1000"
    );
    assert_eq!(
        alphas("logspace:1:4:4000000000"),
        "a grid of 4000000000 alphas, expected 1 to 1000"
    );
    assert!(Alphas::from_values(vec![]).is_err());
}

#[test]
fn logspace_is_numpys() {
    let grid = Alphas::logspace(1.0, 4.0, 15).unwrap();
    // numpy.logspace(1, 4, 15)[[1, 7, 13, 14]]
    for (i, expected) in [
        (1, 16.378_937_069_540_644),
        (7, 316.227_766_016_837_94),
        (13, 6_105.402_296_585_327),
        (14, 10_000.0),
    ] {
        assert!((grid.as_slice()[i] / expected - 1.0).abs() < 1e-15);
    }
    assert_eq!(Alphas::logspace(2.0, 5.0, 1).unwrap().as_slice(), [100.0]);
}

#[test]
fn arrays_that_do_not_match_are_named() {
    let problem = Problem::new(40, 5, 3, 1);
    let params = problem.params("1,10").check().unwrap();
    let fit = |y| params.fit(&problem.design(), y).err().unwrap().to_string();
    assert_eq!(
        fit(problem.y.slice(s![..39, ..])),
        "x has shape [40, 5] and y has shape [39, 3]: both need the same number of rows"
    );
    assert_eq!(
        fit(problem.y.slice(s![.., ..0])),
        "y has shape [40, 0], at least one row and one column are needed"
    );
    let short = DesignMatrix::from(problem.x.slice(s![..39, ..]).to_owned());
    assert_eq!(
        params.prepare(&short).err().unwrap().to_string(),
        "the folds were made for 40 rows and x has 39"
    );
    for shape in [(0, 5), (40, 0)] {
        let empty = params.prepare(&Array2::zeros(shape).into());
        assert!(matches!(empty, Err(EncodingError::Empty { what: "x", .. })));
    }
    let fitted = params.fit(&problem.design(), problem.y.view()).unwrap();
    let error = fitted.predict(Array2::zeros((3, 6)).view()).unwrap_err();
    assert_eq!(error.to_string(), "x has shape [3, 6], expected 5 columns");
}

#[test]
fn values_that_are_not_finite_are_placed() {
    let problem = Problem::new(40, 5, 3, 2);
    let params = problem.params("1,10").check().unwrap();
    let mut y = problem.y.clone();
    y[(7, 2)] = f32::NAN;
    let error = params.fit(&problem.design(), y.view()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "y is NaN at row 7, column 2: replace or drop values that are not finite first"
    );
    let mut x = problem.x.clone();
    x[(3, 4)] = f32::NEG_INFINITY;
    let error = params.prepare(&x.into()).err().unwrap();
    assert!(
        error
            .to_string()
            .starts_with("x is -inf at row 3, column 4")
    );
}

#[test]
fn huge_values_are_solved_or_named_and_never_silently_nan() {
    let problem = Problem::new(40, 5, 3, 3);
    for solver in [Solver::Primal, Solver::Dual] {
        let params = problem.params("1,10").solver(solver).check().unwrap();
        let mut y = problem.y.clone();
        y.column_mut(1).fill(3e38);
        match params.fit(&problem.design(), y.view()) {
            Ok(fitted) => assert!(fitted.cv_scores().iter().all(|score| score.is_finite())),
            Err(error) => assert!(matches!(error, EncodingError::Overflow { column: 1 })),
        }
        let x = DesignMatrix::from(&problem.x * 1e30);
        let fitted = params.fit(&x, problem.y.view()).unwrap();
        assert!(fitted.cv_scores().iter().all(|score| score.is_finite()));
    }
    let huge = Ridge::params("1e200".parse().unwrap()).check().unwrap();
    let fitted = huge.fit(&problem.design(), problem.y.view()).unwrap();
    assert_eq!(fitted.coef(), Array2::<f32>::zeros((5, 3)));
}

#[test]
fn feature_spaces_cover_the_columns() {
    let space = |name: &str, columns| FeatureSpace {
        name: name.to_owned(),
        columns,
    };
    let x = || Array2::zeros((2, 5));
    let good = DesignMatrix::new(x(), vec![space("a", 0..2), space("b", 2..5)]).unwrap();
    assert_eq!(good.feature_spaces()[1].name, "b");
    let gap = DesignMatrix::new(x(), vec![space("a", 0..2), space("b", 3..5)]).unwrap_err();
    assert_eq!(
        gap.to_string(),
        "feature space 'b' holds columns 3..5, expected it to start at 2 and to end at or before 5"
    );
    assert!(DesignMatrix::new(x(), vec![space("a", 0..6)]).is_err());
    assert!(DesignMatrix::new(x(), vec![space("a", 0..4)]).is_err());
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = DesignMatrix::new(x(), vec![space("a", 0..5), space("b", 5..1)]);
    assert!(reversed.is_err());
}
