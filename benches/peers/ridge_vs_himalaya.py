"""CPU time of `braintune ridge` against himalaya and an SVD per fold, same arrays and threads.

    python ridge_vs_himalaya.py PATH/TO/braintune [--problem features] [--runs 3] [--threads 2]
        [--peers himalaya-numpy,himalaya-torch,svd] [--samples N] [--features N] [--voxels N] [--alphas N]
        [--groups 5] [--signal] [--float64]

Problems by name: features (3000 x 1536 x 10000, 15 alphas), delayed (4000 x 3072 x 20000, 15), dual (3000 x
6144 x 10000, 20; himalaya's KernelRidgeCV), himalaya (3000 x 1000 x 30000, 20); sizes given replace
the problem's.

Each fit is a process of its own; what is compared is its user and system time, reading and starting
included, medians over the runs, the sides taking turns. Both sides end with weights of the features. himalaya scores with its r2_score, its alpha
is the penalty, so it gets alpha**2. `svd` is one singular value decomposition per fold with all alphas
after it, in NumPy float32, as the field's scripts do. Prints one line of JSON at the end. Needs numpy,
himalaya, scikit-learn, torch.

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

# samples, features, voxels, alphas
PROBLEMS = {
    "features": (3000, 1536, 10000, 15),
    "delayed": (4000, 3072, 20000, 15),
    "dual": (3000, 6144, 10000, 20),
    "himalaya": (3000, 1000, 30000, 20),
}

LOAD = """
import sys
import numpy as np

folder, dtype, n_alphas = sys.argv[1], sys.argv[2], int(sys.argv[3])
x, y, groups = (np.load(f"{folder}/{name}.npy") for name in ("x", "y", "groups"))
x, y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
alphas = np.logspace(1, 4, n_alphas)
"""

HIMALAYA = LOAD + """
from himalaya.backend import set_backend
from himalaya.kernel_ridge import KernelRidgeCV
from himalaya.ridge import RidgeCV
from himalaya.scoring import r2_score
from sklearn.model_selection import PredefinedSplit

backend = set_backend(sys.argv[4])
cv = PredefinedSplit(groups)
if x.shape[1] > x.shape[0]:
    model = KernelRidgeCV(alphas=alphas ** 2, cv=cv, solver_params={"score_func": r2_score})
else:
    model = RidgeCV(alphas=alphas ** 2, cv=cv, fit_intercept=False, solver_params={"score_func": r2_score})
model.fit(backend.asarray(x), backend.asarray(y))
if x.shape[1] > x.shape[0]:
    backend.asarray(x).T @ model.dual_coef_  # both sides give weights of the features
np.savez(f"{folder}/himalaya-{sys.argv[4]}_{dtype}.npz",
         best_alpha=np.sqrt(backend.to_numpy(model.best_alphas_)))
"""

SVD = LOAD + """
scores = np.zeros((n_alphas, y.shape[1]))
for fold in np.unique(groups):
    train, val = groups != fold, groups == fold
    u, s, vt = np.linalg.svd(x[train], full_matrices=False)
    uy, xv = u.T @ y[train], x[val] @ vt.T
    total = ((y[val] - y[val].mean(0)) ** 2).sum(0)
    for i, alpha in enumerate(alphas):
        p = (xv * (s / (s ** 2 + alpha ** 2)).astype(x.dtype)) @ uy
        scores[i] += 1 - ((y[val] - p) ** 2).sum(0) / total
best = scores.argmax(0)
u, s, vt = np.linalg.svd(x, full_matrices=False)
uy = u.T @ y
weights = np.zeros((x.shape[1], y.shape[1]), dtype=x.dtype)
for i in np.unique(best):
    these = best == i
    weights[:, these] = vt.T @ ((s / (s ** 2 + alphas[i] ** 2)).astype(x.dtype)[:, None] * uy[:, these])
np.savez(f"{folder}/svd_{dtype}.npz", best_alpha=alphas[best])
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


def agreement(fit, theirs, n_alphas):
    """Voxels of the same alpha, and those whose two alphas score within 1e-6 of each other."""
    import numpy as np

    grid = np.logspace(1, 4, n_alphas)
    scores, voxels = fit["cv_scores"], np.arange(len(theirs))
    of = [np.abs(np.log(grid[:, None] / alphas.ravel())).argmin(axis=0) for alphas in (fit["best_alpha"], theirs)]
    gap = np.abs(scores[of[0], voxels] - scores[of[1], voxels])
    return of[0] == of[1], gap <= 1e-6


def main():
    import numpy as np

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("braintune", type=pathlib.Path)
    parser.add_argument("--problem", choices=PROBLEMS, default="features")
    parser.add_argument("--peers", default="himalaya-numpy,himalaya-torch,svd")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    for size in ("samples", "features", "voxels", "alphas"):
        parser.add_argument(f"--{size}", type=int)
    parser.add_argument("--groups", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--signal", action="store_true", help="responses that depend on x")
    parser.add_argument("--float64", action="store_true", help="compare alphas in float64 too")
    args = parser.parse_args()
    for size, default in zip(("samples", "features", "voxels", "alphas"), PROBLEMS[args.problem]):
        if getattr(args, size) is None:
            setattr(args, size, default)

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        make(folder, args)
        ours = [args.braintune.resolve(), "ridge", "--x", folder / "x.npy", "--y", folder / "y.npy",
                "--groups", folder / "groups.npy", "--alphas", f"logspace:1:4:{args.alphas}",
                "--score", "r2", "--coef", "--out", folder / "fit.npz"]

        def theirs(peer, dtype):
            script, *backend = (SVD,) if peer == "svd" else (HIMALAYA, peer.removeprefix("himalaya-"))
            return [sys.executable, "-c", script, folder, dtype, str(args.alphas), *backend]

        peers = [peer for peer in args.peers.split(",") if peer]
        times = {who: [] for who in ("braintune", *peers)}
        for run in range(args.runs):
            (folder / "fit.npz").unlink(missing_ok=True)
            times["braintune"].append(cpu_seconds(ours, args.threads))
            for peer in peers:
                times[peer].append(cpu_seconds(theirs(peer, "float32"), args.threads))
            print(f"run {run}:", {who: round(runs[-1], 2) for who, runs in times.items()},
                  file=sys.stderr, flush=True)
        if args.float64:
            cpu_seconds(theirs("himalaya-numpy", "float64"), args.threads)
        fit = np.load(folder / "fit.npz")
        same, same_or_tied = {}, {}
        for path in sorted([*folder.glob("himalaya*_*.npz"), *folder.glob("svd_*.npz")]):
            equal, tied = agreement(fit, np.load(path)["best_alpha"].ravel(), args.alphas)
            same[path.stem] = round(100 * float(np.mean(equal)), 3)
            same_or_tied[path.stem] = round(100 * float(np.mean(equal | tied)), 3)

    medians = {who: float(np.median(runs)) for who, runs in times.items()}
    print(json.dumps({
        "problem": args.problem,
        "cpu_s": {who: round(value, 2) for who, value in medians.items()},
        "ratio": {peer: round(medians["braintune"] / medians[peer], 3) for peer in peers},
        "same_alphas_percent": same,
        "same_or_tied_percent": same_or_tied,
        "threads": args.threads, "runs": args.runs,
        "shape": [args.samples, args.features, args.voxels, args.alphas, args.groups],
    }))


if __name__ == "__main__":
    main()
