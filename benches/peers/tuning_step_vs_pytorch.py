"""CPU time and memory of a brain-tuning step of a wav2vec2-base against PyTorch, in turns.

    cargo build --release -p benches --example tuning_step --features forward
    python benches/peers/tuning_step_vs_pytorch.py target/release/examples/tuning_step --threads 1 --runs 3

Weights are random (seed 0), the architecture is that of facebook/wav2vec2-base (--whisper: of openai/whisper-tiny);
4 clips of 10 s, mean pooling, a linear head of 10,000 voxels, mean squared error, AdamW with its defaults; the feature
encoder is frozen, nothing drops out. Both sides are a process of their own that takes two steps to warm up and then
reads user plus system time around each of --runs steps. Medians are compared, and the largest resident memory.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile


def make_model(folder, whisper):
    import torch
    import transformers as t

    torch.manual_seed(0)
    if whisper:
        config = t.WhisperConfig(d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536,
                                 decoder_layers=1, decoder_attention_heads=6, decoder_ffn_dim=1536)
        t.WhisperModel(config).save_pretrained(folder)
        t.WhisperFeatureExtractor().save_pretrained(folder)
    else:
        t.Wav2Vec2Model(t.Wav2Vec2Config()).save_pretrained(folder)
        t.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def worker(folder, batch, seconds, voxels, runs, micro, threads):
    import torch
    import transformers as t

    torch.set_num_threads(threads)
    n = seconds * 16000
    wave = lambda rate, n: torch.sin(rate * torch.arange(1, batch + 1)[:, None].double() * torch.arange(n)).float()
    values, bold = wave(0.37, n), wave(0.11, voxels)
    model = t.AutoModel.from_pretrained(folder)
    if model.config.model_type == "whisper":
        model = model.encoder.eval()
        inputs = t.WhisperFeatureExtractor.from_pretrained(folder)(list(values.numpy()), sampling_rate=16000,
                                                                   return_tensors="pt").input_features
        frozen, kept = [model.conv1, model.conv2, model.embed_positions], seconds * 50
    else:
        model.eval()
        inputs = (values - values.mean(1, keepdim=True)) / (values.var(1, keepdim=True, unbiased=False) + 1e-7).sqrt()
        frozen, kept = [model.feature_extractor], None
    for part in frozen:
        part.requires_grad_(False)
    head = torch.nn.Linear(model.config.hidden_size, voxels)
    groups = [{"params": [p for p in model.parameters() if p.requires_grad], "lr": 5e-5},
              {"params": head.parameters(), "lr": 1e-4}]
    optimiser = torch.optim.AdamW(groups)
    for _ in range(runs):
        before = cpu_s()
        optimiser.zero_grad()
        total = 0.0
        for start in range(0, batch, micro):
            part = slice(start, start + micro)
            predicted = head(model(inputs[part]).last_hidden_state[:, :kept].mean(1))
            loss = torch.nn.functional.mse_loss(predicted, bold[part]) * (len(predicted) / batch)
            loss.backward()
            total += loss.item()
        optimiser.step()
        print(f"{cpu_s() - before:.3f} {total:.6f}")
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


def steps(command, threads):
    """CPU seconds of each step but the first two, losses, and the largest memory."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE", RAYON_NUM_THREADS=str(threads))
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    *lines, peak = done.stdout.strip().splitlines()
    values = [tuple(map(float, line.split())) for line in lines]
    return [cpu for cpu, _ in values[2:]], float(peak)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", help="the example `tuning_step`, built with --release")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--turns", type=int, default=1, help="processes of each side")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--voxels", type=int, default=10_000)
    parser.add_argument("--whisper", action="store_true")
    parser.add_argument("--worker", nargs=7, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        folder, *numbers = args.worker
        return worker(folder, *map(int, numbers))
    with tempfile.TemporaryDirectory() as folder:
        make_model(folder, args.whisper)
        sizes = [folder, str(args.batch), "10", str(args.voxels), str(args.runs + 2), str(args.micro_batch)]
        ours, theirs = [], []
        for _ in range(args.turns):
            ours.append(steps([args.step, *sizes], args.threads))
            theirs.append(steps([sys.executable, __file__, args.step, "--worker", *sizes, str(args.threads)],
                                args.threads))
        cpu = [statistics.median(cpu for run, _ in side for cpu in run) for side in (ours, theirs)]
        peak = [max(peak for _, peak in side) for side in (ours, theirs)]
        print(json.dumps({"threads": args.threads, "braintune_cpu_s": cpu[0], "pytorch_cpu_s": cpu[1],
                          "ratio": round(cpu[0] / cpu[1], 3), "braintune_peak_mb": peak[0], "pytorch_peak_mb": peak[1]}))
    return None


if __name__ == "__main__":
    main()
