//! CPU time of forward passes of a checkpoint, for `peers/forward_vs_transformers.py`.
//!
//! `forward MODEL BATCH SECONDS RUNS [DEVICE]` prints the CPU seconds of each pass, a line each.
#![allow(clippy::print_stdout, clippy::cast_possible_truncation, missing_docs)]

use std::path::Path;

use anyhow::{Context, bail};
use benches::cpu_s;
use braintune_backbone::{Checkpoint, SpeechBackbone, Wav2Vec2Model, WhisperEncoder};
use burn::tensor::{Tensor, TensorData};

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (args, device) = args.split_at(args.len().min(4));
    let [model, batch, seconds, runs] = args else {
        bail!("usage: forward MODEL BATCH SECONDS RUNS [DEVICE]");
    };
    let device = device.first().map_or("flex", String::as_str);
    let device = braintune::device::by_name(device).context("no such device in this build")?;
    let (batch, runs): (usize, usize) = (batch.parse()?, runs.parse()?);
    let n: usize = seconds.parse::<usize>()? * 16_000;
    let checkpoint = Checkpoint::open(Path::new(model))?;
    let values: Vec<f32> = (0_u32..)
        .map(|i| (0.37 * f64::from(i)).sin() as f32 * 0.1)
        .take(batch * n)
        .collect();
    let samples = Tensor::from_data(TensorData::new(values, [batch, n]), &device);
    if checkpoint.model_type()? == "whisper" {
        time(
            &WhisperEncoder::from_checkpoint(&checkpoint, &device)?,
            &samples,
            runs,
        )
    } else {
        time(
            &Wav2Vec2Model::from_checkpoint(&checkpoint, &device)?,
            &samples,
            runs,
        )
    }
}

fn time<B: SpeechBackbone>(model: &B, samples: &Tensor<2>, runs: usize) -> anyhow::Result<()> {
    let [batch, n] = samples.dims();
    for _ in 0..runs {
        let before = cpu_s()?;
        let states = model.hidden_states(samples.clone(), &vec![n; batch]);
        // Brings the last state to the host: everything before it is done.
        drop(states.into_layers().pop().context("a state")?.into_data());
        println!("{:.3}", cpu_s()? - before);
    }
    Ok(())
}
