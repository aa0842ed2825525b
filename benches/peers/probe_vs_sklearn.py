"""CPU time of our logistic regression against scikit-learn's, the same data, C, threads and gradient.

    cargo build --release -p benches --no-default-features --example probe_fit
    python probe_vs_sklearn.py target/release/examples/probe_fit [--runs 3] [--threads 1] [--c 1e-3]
        [--shape N_SAMPLES N_FEATURES N_CLASSES] [--kind even|speech] [--tolerance 1e-4] [--ours 1e-3]
        [--linfa 1e-2]

`even`: features of equal variance, as after standardising. `speech`: as hidden states come, correlated, means
and variances apart by two orders. scikit-learn stops at a gradient (of the mean loss) of which no entry is above
`--tolerance`; ours where its own norm has fallen by `--ours`; linfa-logistic, if asked for, at `--linfa`. All results are
judged by the same float64 objective and gradient: ours counts only if its objective is not above scikit-learn's. User and system time of
the fit in its process, the sides taking turns; medians. Peak memory is of the whole process, less what it held
before the fit. Needs numpy and scikit-learn.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np

SKLEARN = """
import pathlib, resource, sys, time
import numpy as np
from sklearn.linear_model import LogisticRegression

folder = pathlib.Path(sys.argv[1])
n, d, k = map(int, sys.argv[2:5])
x = np.fromfile(folder / "x.f32", dtype=np.float32).reshape(n, d)
y = np.fromfile(folder / "y.u8", dtype=np.uint8).astype(np.int64)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
held, before = peak(), time.process_time()
model = LogisticRegression(C=float(sys.argv[5]), tol=float(sys.argv[6]), max_iter=10_000).fit(x, y)
taken = time.process_time() - before
np.save(folder / "sklearn.npy", np.vstack([model.coef_.T, model.intercept_]).astype(np.float64))
print(f"{taken:.2f} {model.n_iter_[0]} {held:.0f} {peak():.0f}")
"""


def write_problem(folder, n, d, k, kind):
    rng = np.random.default_rng(0)
    with open(folder / "x.f32", "wb") as file, open(folder / "y.u8", "wb") as labels:
        mixing = np.eye(d) + (rng.standard_normal((d, d)) / np.sqrt(d) if kind == "speech" else 0)
        scale, mean = (10 ** rng.uniform(-1, 1, d), rng.standard_normal(d)) if kind == "speech" else (1, 0)
        weights = rng.standard_normal((d, k)) / np.sqrt(d)
        prior = rng.standard_normal(k)
        for start in range(0, n, 5000):
            rows = min(5000, n - start)
            z = rng.standard_normal((rows, d))
            scores = 3 * z @ weights + prior + rng.gumbel(size=(rows, k))
            labels.write(scores.argmax(1).astype(np.uint8).tobytes())
            file.write(((z @ mixing + mean) * scale).astype(np.float32).tobytes())


def judge(folder, w, n, d, k, c):
    """Objective and largest entry of the gradient of the mean loss, float64."""
    x = np.memmap(folder / "x.f32", dtype=np.float32, shape=(n, d))
    y = np.fromfile(folder / "y.u8", dtype=np.uint8)
    loss, gradient = 0.0, np.zeros_like(w)
    for start in range(0, n, 5000):
        block = np.asarray(x[start : start + 5000], dtype=np.float64)
        labels = y[start : start + 5000]
        scores = block @ w[:-1] + w[-1]
        scores -= scores.max(1, keepdims=True)
        p = np.exp(scores)
        total = p.sum(1, keepdims=True)
        loss += (np.log(total[:, 0]) - scores[np.arange(len(labels)), labels]).sum()
        p /= total
        p[np.arange(len(labels)), labels] -= 1
        gradient[:-1] += block.T @ p
        gradient[-1] += p.sum(0)
    gradient[:-1] += w[:-1] / c
    return loss / n + (w[:-1] ** 2).sum() / (2 * c * n), float(np.abs(gradient).max() / n)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("braintune", type=pathlib.Path, help="the example `probe_fit`")
    parser.add_argument("--shape", type=int, nargs=3, default=[100_000, 768, 39])
    parser.add_argument("--kind", choices=["even", "speech"], default="even")
    parser.add_argument("--c", type=float, default=1e-3)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--ours", type=float, default=1e-3)
    parser.add_argument("--linfa", type=float, help="linfa-logistic as well, to this tolerance")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = os.environ | {name: str(args.threads) for name in names}
    n, d, k = args.shape
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        write_problem(folder, n, d, k, args.kind)
        size = [str(folder), str(n), str(d), str(k), str(args.c)]
        commands = {
            "braintune": [args.braintune.resolve(), *size, str(args.ours)],
            "scikit-learn": [sys.executable, "-c", SKLEARN, *size, str(args.tolerance)],
        }
        if args.linfa:
            commands["linfa-logistic"] = [args.braintune.resolve(), *size, str(args.linfa), "linfa"]
        runs, found = {side: [] for side in commands}, {}
        for _ in range(args.runs):
            for side, command in commands.items():
                done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
                runs[side].append([float(value) for value in done.stdout.split()[-4:]])
                if side == "scikit-learn":
                    found[side] = np.load(folder / "sklearn.npy")
                else:
                    coef = np.fromfile(folder / "coef.f32", dtype=np.float32).reshape(d, k).astype(np.float64)
                    found[side] = np.vstack([coef, np.fromfile(folder / "intercept.f64")])
        judged = {side: judge(folder, w, n, d, k, args.c) for side, w in found.items()}
    report = {}
    for side, of_side in runs.items():
        cpu, steps, held, peak = (statistics.median(values) for values in zip(*of_side))
        objective, gradient = judged[side]
        report[side] = {"cpu_s": cpu, "steps": steps, "mb_of_fit": peak - held, "objective": objective, "gradient": gradient}
    report["ratio"] = round(report["braintune"]["cpu_s"] / report["scikit-learn"]["cpu_s"], 3)
    settings = {key: value for key, value in vars(args).items() if key != "braintune"}
    print(json.dumps(report | settings, indent=1))


if __name__ == "__main__":
    main()
