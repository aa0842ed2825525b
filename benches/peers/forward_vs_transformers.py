"""CPU time of a forward pass of a wav2vec2-base against HuggingFace transformers, in turns.

    cargo build --release -p benches --example forward --features forward
    python benches/peers/forward_vs_transformers.py target/release/examples/forward --threads 1 --runs 3

Weights are random (seed 0), the architecture is that of facebook/wav2vec2-base (12 layers, 768). Both sides
give every hidden state, in f32, without gradients; each is a process of its own that loads once, passes
once to warm up, and then reads user plus system time around each of --runs passes. Medians are compared.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile


def make_model(folder):
    import torch
    import transformers as t

    torch.manual_seed(0)
    t.Wav2Vec2Model(t.Wav2Vec2Config()).save_pretrained(folder)
    t.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False).save_pretrained(folder)


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def worker(folder, batch, seconds, runs, threads):
    import torch
    import transformers as t

    torch.set_num_threads(threads)
    model = t.AutoModel.from_pretrained(folder).eval()
    values = 0.1 * torch.sin(0.37 * torch.arange(batch * seconds * 16000)).reshape(batch, -1)
    values = (values - values.mean(1, keepdim=True)) / (values.var(1, keepdim=True, unbiased=False) + 1e-7).sqrt()
    for _ in range(runs):
        before = cpu_s()
        with torch.no_grad():
            model(values, output_hidden_states=True)
        print(f"{cpu_s() - before:.3f}")


def times(command, threads):
    env = dict(os.environ, OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE", RAYON_NUM_THREADS=str(threads))
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return [float(line) for line in done.stdout.split()][1:]  # the first warms up


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("forward", help="the example `forward`, built with --release")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--model", help="another checkpoint folder")
    parser.add_argument("--cases", default="1x16,8x10")
    parser.add_argument("--device", default="flex", help="tch: build with --features benches/tch")
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        folder, *numbers = args.worker
        return worker(folder, *map(int, numbers))
    with tempfile.TemporaryDirectory() as folder:
        if not args.model:
            make_model(folder)
        for case in args.cases.split(","):
            batch, seconds = case.split("x")
            ours = times([args.forward, args.model or folder, batch, seconds, str(args.runs + 1), args.device],
                         args.threads)
            command = [sys.executable, __file__, args.forward, "--worker", args.model or folder, batch, seconds]
            theirs = times([*command, str(args.runs + 1), str(args.threads)], args.threads)
            a, b = statistics.median(ours), statistics.median(theirs)
            print(json.dumps({"case": case, "threads": args.threads, "braintune_cpu_s": a, "transformers_cpu_s": b,
                              "ratio": round(a / b, 3)}), flush=True)
    return None


if __name__ == "__main__":
    main()
