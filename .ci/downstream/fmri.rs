use braintune_fmri::{Lanczos, ndarray::Array2};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let frame_times: Vec<f64> = (1..=700).map(|k| f64::from(k) * 0.1).collect();
    let tr_times: Vec<f64> = (0..30).map(|k| f64::from(k) * 2.0).collect();
    let lanczos = Lanczos::for_tr_times(&tr_times)?;
    let on_grid = lanczos.resample(Array2::ones((700, 16)).view(), &frame_times, &tr_times)?;
    assert_eq!(on_grid.dim(), (30, 16));
    Ok(())
}
