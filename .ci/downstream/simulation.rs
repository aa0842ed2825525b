use braintune_simulation::{SimulationConfig, simulate};
use std::ops::ControlFlow;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let out = std::env::temp_dir().join(format!("braintune-downstream-{}", std::process::id()));
    let config = SimulationConfig::default().with_n_train_stories(1).with_n_voxels(8);
    let simulated = simulate(&config, &out, &mut |_| ControlFlow::Continue(()))?;
    assert_eq!(simulated.train_stories().len(), 1);
    Ok(std::fs::remove_dir_all(out)?)
}
