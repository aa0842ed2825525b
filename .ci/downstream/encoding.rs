use braintune_encoding::{DesignMatrix, EncodingModel, Ridge, linfa::ParamGuard, ndarray::Array2};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let x = Array2::from_shape_fn((60, 3), |(i, j)| ((i * (j + 2)) as f32).sin());
    let y = x.dot(&Array2::<f32>::eye(3));
    let model = Ridge::params("0.01".parse()?).check()?;
    let fitted = model.fit(&DesignMatrix::from(x), y.view())?;
    assert_eq!(fitted.best_alphas(), [0.01; 3]);
    Ok(())
}
