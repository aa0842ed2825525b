"""CPU time and features of `braintune extract` against HuggingFace transformers, on the same windows.

Each side runs as a process of its own, in turns, and its user plus system time is read from
getrusage, threads included. Printed, as medians over the runs:

- process: everything (start, imports, weights, decoding, windows, writing the features); nothing subtracted
- short: the same on audio that holds one window of one stride, which is start and weights plus one window
- windows: process minus short, over one window fewer; for transformers also read inside the process around
  feature extractor and encoder alone (`in process`), without imports, weights or decoding

transformers: WhisperFeatureExtractor and the encoder in eval mode without gradients, float32, all hidden
states, at the batch size of --batches that takes it the least CPU time, and with OpenMP threads that wait
asleep (they burn up to twice the CPU time spinning on a busy machine). The audio is cut to the first
windows and written as 16-bit WAV, so that both sides decode the same samples.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))


def cpu_s(who):
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def worker(args):
    """The transformers side: extract `--audio`, write the features and the time of the windows alone."""
    import encode_reference as reference
    import torch

    torch.set_num_threads(args.threads)
    extractor, encoder = reference.load_model(args.model)
    audio = reference.load_audio(args.audio)
    spans = reference.windows(len(audio), args.window_s, args.stride_s)
    before = cpu_s(resource.RUSAGE_SELF)
    times, features = reference.extract_story(extractor, encoder, audio, spans, args.worker)
    np.savez(args.out, times=times, features=features, cpu_s=cpu_s(resource.RUSAGE_SELF) - before)


def timed(command, threads):
    """(CPU seconds, wall seconds) of one process, its children and threads included."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE")
    cpu, wall = cpu_s(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}\nexit {done.returncode}\n{done.stderr}")
    return cpu_s(resource.RUSAGE_CHILDREN) - cpu, time.perf_counter() - wall


def flags(args, audio, out):
    return ["--model", args.model, "--audio", audio, "--out", out, "--window-s", str(args.window_s),
            "--stride-s", str(args.stride_s), "--threads", str(args.threads)]  # fmt: skip


def run_transformers(args, audio, out, batch):
    command = [sys.executable, __file__, "--worker", str(batch), *flags(args, audio, out)]
    return (*timed(command, args.threads), float(np.load(out)["cpu_s"]))


def run_braintune(args, audio, out):
    out.unlink(missing_ok=True)
    return timed([args.braintune, "extract", *flags(args, audio, out), *args.extra.split()], args.threads)


def cut_audio(source, seconds, out):
    import soundfile

    with soundfile.SoundFile(source) as file:
        rate, n_frames = file.samplerate, round(seconds * file.samplerate)
        if n_frames > len(file):
            raise SystemExit(f"{source}: {len(file) / rate:.1f} s of audio, {seconds:.1f} s needed")
        soundfile.write(out, file.read(n_frames), rate, subtype="PCM_16")
    return out


def best_batch(args, audio, out):
    """The batch size at which transformers takes the least CPU time for its windows."""
    found = {batch: run_transformers(args, audio, out, batch)[2] for batch in args.batches}
    print("transformers, CPU s in process by batch size:", {k: round(v, 2) for k, v in found.items()}, flush=True)
    return min(found, key=found.get)


def compare_features(ours, theirs):
    """Print the largest absolute difference per layer, beside the layer's own largest value."""
    from safetensors.numpy import load_file

    ours, theirs = load_file(ours), np.load(theirs)
    if not np.allclose(ours["times"], theirs["times"], atol=1e-9):
        raise SystemExit(f"window ends differ: {ours['times'][:5]} .. and {theirs['times'][:5]} ..")
    layers = [key for key in ours if key.startswith("hidden_states.")]
    if len(layers) != len(theirs["features"]):
        raise SystemExit(f"{len(layers)} layers, transformers has {len(theirs['features'])}")
    print("layer  max |difference|  max |value|  rms difference / sd over windows")
    for i, layer in enumerate(theirs["features"]):
        difference = ours[f"hidden_states.{i}"] - layer
        relative = np.sqrt((difference**2).mean() / (layer - layer.mean(axis=0)).var())
        print(f"{i:5d}  {np.abs(difference).max():.2e}          {np.abs(layer).max():.2f}         {relative:.2e}")


def measure(args, folder):
    """Both sides on long and short audio in turns; {name: [value per run]} in seconds."""
    long = cut_audio(args.audio, args.n_windows * args.stride_s, folder / "long.wav")
    short = cut_audio(args.audio, args.stride_s, folder / "short.wav")
    ours, theirs, brief = folder / "ours.safetensors", folder / "theirs.npz", folder / "short.out"
    batch = args.batches[0] if len(args.batches) == 1 else best_batch(args, long, theirs)
    runs = {}
    for i in range(args.runs):
        results = {
            "braintune": run_braintune(args, long, ours),
            "transformers": run_transformers(args, long, theirs, batch),
            "braintune short": run_braintune(args, short, brief),
            "transformers short": run_transformers(args, short, folder / "short.npz", 1),
        }
        print(f"run {i + 1}/{args.runs}:", {k: f"{v[0]:.2f}" for k, v in results.items()}, "CPU s", flush=True)
        for name, (cpu, wall, *inner) in results.items():
            runs.setdefault(name, []).append(cpu)
            runs.setdefault(name + " wall", []).append(wall)
            if inner:
                runs.setdefault(name + " in process", []).append(inner[0])
    compare_features(ours, theirs)
    return runs, batch


def report(runs, n_windows, batch):
    median = {name: statistics.median(values) for name, values in runs.items()}
    ours, theirs = median["braintune"], median["transformers"]
    inside = median["transformers in process"]
    per = {s: (median[s] - median[f"{s} short"]) / (n_windows - 1) for s in ("braintune", "transformers")}
    print(f"\n{n_windows} windows, transformers at batch size {batch}     braintune  transformers  ratio")

    def line(label, a, b):
        print(f"{label:<50} {a:9.3f}  {b:12.3f}  {a / b:5.2f}")

    line("process, CPU s", ours, theirs)
    line("process, wall s", median["braintune wall"], median["transformers wall"])
    line("short, CPU s", median["braintune short"], median["transformers short"])
    line("per window, CPU s (process minus short)", per["braintune"], per["transformers"])
    line("braintune process / transformers in process, CPU s", ours, inside)


def parse_args():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--braintune", type=Path, help="the binary, built with --release")
    p.add_argument("--model", type=Path, required=True, help="HuggingFace folder of a Whisper model")
    p.add_argument("--audio", type=Path, required=True)
    p.add_argument("--n-windows", type=int, default=40)
    p.add_argument("--window-s", type=float, default=16.0)
    p.add_argument("--stride-s", type=float, default=2.0)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--batches", type=lambda t: [int(b) for b in t.split(",")], default=[1, 2, 4, 8])
    p.add_argument("--extra", default="--no-cache", help="further flags for `braintune extract` [--no-cache]")
    p.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    p.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.worker is None and args.braintune is None:
        p.error("--braintune is required")
    return args


def main():
    args = parse_args()
    if args.worker is not None:
        worker(args)
        return
    args.braintune = args.braintune.resolve()
    with tempfile.TemporaryDirectory() as folder:
        runs, batch = measure(args, Path(folder))
    report(runs, args.n_windows, batch)


if __name__ == "__main__":
    main()
