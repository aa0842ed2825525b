"""`braintune ridge` at the size of one layer of a real participant: time, peak memory, share of the GEMM peak.

    python ridge_real_size.py PATH/TO/braintune [--trs 9000] [--features 768] [--delays 1,2,3,4] [--voxels 95000]
        [--alphas 15] [--groups 5] [--memory-gb 3] [--threads 2] [--folder DIR]

Features are smooth in time with a spectrum that falls as those of speech models do (eigenvalues as 1/k), responses
are noise plus a weak signal of the features. Prints CPU and wall seconds, peak resident memory, the fit's
floating-point operations as it is made (counted as for a decomposition per fold with all alphas one by one,
and without that saving), and NumPy's single-precision GEMM rate on as many threads in the same run.
"""

import argparse
import json
import multiprocessing
import os
import pathlib
import subprocess
import tempfile
import time


def make(folder, args):
    import numpy as np

    rng = np.random.default_rng(0)
    n, f = args.trs, args.features
    sources = rng.standard_normal((n + 4, f), dtype=np.float32)
    smooth = sum(sources[i : n + i] * w for i, w in enumerate((0.4, 0.7, 0.7, 0.4)))
    scales = (1 / np.sqrt(np.arange(1, f + 1))).astype(np.float32)
    mixing = np.linalg.qr(rng.standard_normal((f, f)))[0].astype(np.float32)
    x = (smooth * scales) @ mixing
    np.save(folder / "x.npy", x / x.std())
    np.save(folder / "groups.npy", np.arange(n) * args.groups // n)
    y = np.lib.format.open_memmap(folder / "y.npy", mode="w+", dtype=np.float32, shape=(n, args.voxels))
    for start in range(0, args.voxels, 5000):
        stop = min(args.voxels, start + 5000)
        part = rng.standard_normal((n, stop - start), dtype=np.float32)
        weights = rng.standard_normal((f, stop - start), dtype=np.float32) / f**0.5
        y[:, start:stop] = part + 0.3 * (x / x.std()) @ weights
    y.flush()


def gemm_rate(threads):
    """Single-precision operations per CPU second of NumPy's product."""
    import numpy as np

    a = np.random.default_rng(0).standard_normal((3072, 3072), dtype=np.float32)
    a @ a
    rates = []
    for _ in range(5):
        before = time.process_time()
        a @ a
        rates.append(2 * 3072**3 / (time.process_time() - before))
    return sorted(rates)[2]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("braintune", type=pathlib.Path)
    for name, default in (("trs", 9000), ("features", 768), ("voxels", 95000), ("alphas", 15), ("groups", 5)):
        p.add_argument(f"--{name}", type=int, default=default)
    p.add_argument("--delays", default="1,2,3,4")
    p.add_argument("--memory-gb", type=float, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--folder", type=pathlib.Path, help="where to make the arrays, kept afterwards")
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = args.folder or pathlib.Path(made)
        if not (folder / "y.npy").exists():
            # In a process of its own: what this one holds when it starts another counts as that one's peak.
            maker = multiprocessing.get_context("spawn").Process(target=make, args=(folder, args))
            maker.start()
            maker.join()
            if maker.exitcode:
                raise SystemExit("no arrays were made")
        out = folder / "fit.npz"
        out.unlink(missing_ok=True)
        command = [args.braintune.resolve(), "ridge", "--x", folder / "x.npy", "--y", folder / "y.npy", "--groups",
                   folder / "groups.npy", "--alphas", f"logspace:1:4:{args.alphas}", "--score", "r2", "--coef", "--delays",
                   args.delays, "--memory-gb", str(args.memory_gb), "--threads", str(args.threads), "--out", out]  # fmt: skip
        wall = time.perf_counter()
        _, status, used = os.wait4(subprocess.Popen(command).pid, 0)
        wall = time.perf_counter() - wall
        if status:
            raise SystemExit("no fit")
    cpu = used.ru_utime + used.ru_stime
    columns = args.features * len(args.delays.split(","))
    n, v = args.trs, args.voxels
    eigen = 9.0 * columns**3 * (args.groups + 1)
    moments, bases = 2 * n * columns * v, 2 * columns**2 * v * (args.groups + 2)
    every_alpha = 2 * n * columns * v * args.alphas
    rate = gemm_rate(args.threads)
    print(json.dumps({
        "shape": [n, columns, v, args.alphas, args.groups], "cpu_s": round(cpu, 1), "wall_s": round(wall, 1),
        "peak_gb": round(used.ru_maxrss / 1e6, 2), "gemm_gflops_per_cpu_s": round(rate / 1e9),
        "gflops_with_every_alpha": round((eigen + moments + bases + every_alpha) / 1e9),
        "of_gemm_peak_if_every_alpha_were_made": round((eigen + moments + bases + every_alpha) / cpu / rate, 2),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
