"""Compare a result of `braintune encode` with one of `encode_reference.py`, layer by layer.

Passes (exit 0) when, in every layer, mean r differs by at most 0.002 and the per-target r of the two
correlate above 0.999, and when `alignment.csv` says the same means as `voxels.npz`. Otherwise exit 1.
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

CSV_ROUNDING = 1e-4  # alignment.csv may print few digits


def load_arrays(path):
    with np.load(path) as file:
        return file["r"].astype(np.float64), file["best_alpha"].astype(np.float64)


def csv_means(path):
    """{layer: (mean r, number of targets)} of the region `all`."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["roi"] == "all"]
    return {int(row["layer"]): (float(row["mean_r"]), int(row["n_voxels"])) for row in rows}


def csv_problems(r, means):
    """Every way in which alignment.csv disagrees with voxels.npz."""
    if sorted(means) != list(range(len(r))):
        return [f"alignment.csv has layers {sorted(means)}, voxels.npz has {len(r)}"]
    problems = []
    for layer, (mean, n_targets) in means.items():
        if n_targets != r.shape[1]:
            problems.append(f"layer {layer}: {n_targets} targets in alignment.csv, {r.shape[1]} in voxels.npz")
        if abs(mean - r[layer].mean()) > CSV_ROUNDING:
            problems.append(f"layer {layer}: mean r {mean} in alignment.csv, {r[layer].mean():.6f} in voxels.npz")
    return problems


def compare_layer(ours, reference):
    """(mean r, reference mean r, correlation over targets, largest difference, share of equal alphas)."""
    (r, alpha), (ref_r, ref_alpha) = ours, reference
    same = np.isclose(alpha, ref_alpha, rtol=1e-3)  # a grid printed in f32; its steps are far wider
    return r.mean(), ref_r.mean(), np.corrcoef(r, ref_r)[0, 1], np.abs(r - ref_r).max(), same.mean()


def parse_args():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("ours", type=Path, help="output folder of `braintune encode`")
    p.add_argument("reference", type=Path, help="npz of encode_reference.py")
    p.add_argument("--mean-tolerance", type=float, default=0.002)
    p.add_argument("--min-correlation", type=float, default=0.999)
    return p.parse_args()


def main():
    args = parse_args()
    r, alpha = load_arrays(args.ours / "voxels.npz")
    ref_r, ref_alpha = load_arrays(args.reference)
    if r.shape != ref_r.shape:
        sys.exit(f"{args.ours}: r has shape {r.shape}, the reference {ref_r.shape}")
    problems = csv_problems(r, csv_means(args.ours / "alignment.csv"))
    print("layer  mean r    reference  difference  correlation  max |dr|  same alpha")
    for layer in range(len(r)):
        ours, theirs = (r[layer], alpha[layer]), (ref_r[layer], ref_alpha[layer])
        mean, ref_mean, corr, largest, same = compare_layer(ours, theirs)
        print(f"{layer:5d}  {mean:.6f}  {ref_mean:.6f}  {mean - ref_mean:+.6f}   {corr:.7f}   {largest:.6f}  {same:.3f}")
        # Written so that a NaN fails.
        if not (abs(mean - ref_mean) <= args.mean_tolerance and corr > args.min_correlation):
            problems.append(f"layer {layer}: outside {args.mean_tolerance} / {args.min_correlation}")
    for problem in problems:
        print(problem, file=sys.stderr)
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
