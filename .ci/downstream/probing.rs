use braintune_probing::{Classes, Logistic, linfa::ParamGuard, ndarray::array};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let x = array![[0.0_f32, 1.0], [0.2, 0.8], [1.0, 0.1], [0.9, 0.0]];
    let classes = Classes::new(&[0, 0, 1, 1], 2)?;
    let probe = Logistic::params(1.0).check()?.fit(x.view(), classes)?;
    assert_eq!(probe.predict(x.view())?.to_vec(), [0, 0, 1, 1]);
    Ok(())
}
