"""CPU time of our banded ridge against himalaya's random search, same sizes and threads.

    cargo build --release -p benches --example banded
    python banded_vs_himalaya.py target/release/examples/banded [--runs 3] [--threads 1] [--backend torch]
        [--shape N_SAMPLES N_FEATURES N_VOXELS N_SPACES N_CANDIDATES N_ALPHAS]

himalaya: `BandedRidgeCV` with `solver="random_search"` where there are fewer features than samples,
`MultipleKernelRidgeCV` on precomputed linear kernels otherwise, weights of the features included. Each
side fits random arrays of its own in five groups of neighbouring samples; what is compared is the CPU
time of the fit in its process, medians over the runs, the sides taking turns. That both give the same
numbers is held by `crates/encoding/tests/it/banded.rs`. Needs numpy, himalaya, scikit-learn, torch.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

HIMALAYA = """
import sys, time
import numpy as np
from himalaya.backend import set_backend
from himalaya.kernel_ridge import ColumnKernelizer, Kernelizer, MultipleKernelRidgeCV
from himalaya.ridge import BandedRidgeCV
from sklearn.model_selection import PredefinedSplit

backend = set_backend(sys.argv[1])
n, f, v, n_spaces, n_candidates, n_alphas = map(int, sys.argv[2:])
rng = np.random.default_rng(0)
x = rng.standard_normal((n, f), dtype=np.float32)
y = backend.asarray(rng.standard_normal((n, v), dtype=np.float32))
cv = PredefinedSplit(np.arange(n) * 5 // n)
bounds = [i * f // n_spaces for i in range(n_spaces + 1)]
params = dict(n_iter=n_candidates, alphas=np.logspace(1, 4, n_alphas).astype(np.float32) ** 2, progress_bar=False)
before = time.process_time()
spaces = [backend.asarray(x[:, a:b]) for a, b in zip(bounds, bounds[1:])]
if f <= n:
    model = BandedRidgeCV(groups="input", solver="random_search", solver_params=params, cv=cv, random_state=0)
    model.fit(spaces, y)
else:
    kernels = backend.stack([space @ space.T for space in spaces])
    params["n_targets_batch"] = 1000
    model = MultipleKernelRidgeCV(kernels="precomputed", solver="random_search", solver_params=params, cv=cv, random_state=0)
    model.fit(kernels, y)
    weights = [space.T @ (model.dual_coef_ * backend.exp(deltas)) for space, deltas in zip(spaces, model.deltas_)]
print(time.process_time() - before)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("braintune", type=pathlib.Path, help="the example `banded`")
    parser.add_argument("--shape", type=int, nargs=6, default=[1500, 900, 5000, 3, 20, 10])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--backend", default="torch")
    args = parser.parse_args()
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = os.environ | {name: str(args.threads) for name in names}
    shape = [str(size) for size in args.shape]
    commands = {
        "braintune": [args.braintune.resolve(), *shape],
        "himalaya": [sys.executable, "-c", HIMALAYA, args.backend, *shape],
    }
    times = {side: [] for side in commands}
    for _ in range(args.runs):
        for side, command in commands.items():
            done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
            times[side].append(float(done.stdout.split()[-1]))
    medians = {side: round(statistics.median(of_side), 2) for side, of_side in times.items()}
    ratio = round(medians["braintune"] / medians["himalaya"], 3)
    print(json.dumps({"cpu_s": medians, "ratio": ratio, "shape": args.shape, "threads": args.threads, "runs": args.runs}))


if __name__ == "__main__":
    main()
