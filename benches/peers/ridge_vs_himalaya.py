"""CPU time of `braintune ridge` against himalaya's RidgeCV on the same arrays and threads.

    python ridge_vs_himalaya.py PATH/TO/braintune [--runs 3] [--threads 2]
        [--samples 3000] [--features 1536] [--voxels 10000] [--groups 5] [--signal] [--float64]

Each fit is a process of its own; what is compared is its user and system time, reading and starting
included, medians over the runs, the two taking turns. himalaya scores with its r2_score, its alpha
is the penalty, so it gets alpha**2. Prints one line of JSON at the end. Needs numpy, himalaya,
scikit-learn.

himalaya sums its scores in float32. Where a voxel's best two alphas differ by less than that
rounding (some 1e-7 of R2: voxels that x does not predict, at the top of the grid), its choice is
chance. --float64 lets it choose once more, untimed, in float64, to tell such voxels from errors.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

HIMALAYA = """
import sys
import numpy as np
from himalaya.ridge import RidgeCV
from himalaya.scoring import r2_score
from sklearn.model_selection import PredefinedSplit

folder = sys.argv[1]
x, y, groups = (np.load(f"{folder}/{name}.npy") for name in ("x", "y", "groups"))
x, y = x.astype(sys.argv[2]), y.astype(sys.argv[2])
model = RidgeCV(alphas=np.logspace(1, 4, 15) ** 2, cv=PredefinedSplit(groups), fit_intercept=False,
                solver_params={"score_func": r2_score})
model.fit(x, y)
np.savez(f"{folder}/himalaya_{sys.argv[2]}.npz", best_alpha=np.sqrt(model.best_alphas_))
"""


def make(folder, args):
    import numpy as np

    rng = np.random.default_rng(args.seed)
    x = rng.standard_normal((args.samples, args.features), dtype=np.float32)
    y = rng.standard_normal((args.samples, args.voxels), dtype=np.float32)
    if args.signal:
        weights = rng.standard_normal((args.features, args.voxels), dtype=np.float32)
        strength = rng.uniform(0, 1 / args.features**0.5, args.voxels).astype(np.float32)
        y += x @ (weights * strength)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    np.save(folder / "groups.npy", np.arange(args.samples) * args.groups // args.samples)


def cpu_seconds(command, threads):
    """User and system seconds of a child process."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS")
    environment = os.environ | {name: str(threads) for name in names}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main():
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("braintune", type=pathlib.Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--features", type=int, default=1536)
    parser.add_argument("--voxels", type=int, default=10000)
    parser.add_argument("--groups", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", action="store_true", help="responses that depend on x")
    parser.add_argument("--float64", action="store_true", help="compare alphas in float64 too")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make(folder, args)
        ours = [args.braintune.resolve(), "ridge", "--x", folder / "x.npy", "--y", folder / "y.npy",
                "--groups", folder / "groups.npy", "--alphas", "logspace:1:4:15", "--score", "r2",
                "--out", folder / "fit.npz"]
        theirs = [sys.executable, "-c", HIMALAYA, folder, "float32"]
        times = {"braintune": [], "himalaya": []}
        for run in range(args.runs):
            (folder / "fit.npz").unlink(missing_ok=True)
            times["braintune"].append(cpu_seconds(ours, args.threads))
            times["himalaya"].append(cpu_seconds(theirs, args.threads))
            print(f"run {run}:", {who: round(runs[-1], 2) for who, runs in times.items()},
                  file=sys.stderr)
        if args.float64:
            cpu_seconds([*theirs[:-1], "float64"], args.threads)
        ours = np.load(folder / "fit.npz")["best_alpha"].ravel()
        same = {}
        for path in sorted(folder.glob("himalaya_*.npz")):
            agree = np.isclose(ours, np.load(path)["best_alpha"].ravel(), rtol=1e-4)
            same[f"same_alphas_{path.stem}_percent"] = round(100 * float(np.mean(agree)), 3)

    medians = {who: float(np.median(runs)) for who, runs in times.items()}
    print(json.dumps({
        **{f"{who}_cpu_s": round(value, 2) for who, value in medians.items()},
        "ratio": round(medians["braintune"] / medians["himalaya"], 3),
        **same,
        "threads": args.threads, "runs": args.runs,
        "shape": [args.samples, args.features, args.voxels, args.groups],
    }))


if __name__ == "__main__":
    main()
