"""CPU time and memory of reading responses against h5py's, the same files and voxels.

    cargo build --release -p benches --no-default-features --example hdf5_read
    python hdf5_vs_h5py.py target/release/examples/hdf5_read [--runs 3] [--reads 5] [--shape N_TRS N_VOXELS]

Writes responses as float32, contiguous, chunked (as h5py chooses, and one row of chunks per TR block) and with gzip
(with and without shuffle), and reads all voxels and 5,000 in the middle on both sides, which take turns. h5py reads into a
new array, as `data[:, first:end]` does. User and system time of one reading, medians over the runs; peak memory
over what the process held before. The sums of what was read must agree. Needs numpy and h5py.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import h5py
import numpy as np

H5PY = """
import resource, sys, time
import h5py, numpy as np

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

path, first, end, n = sys.argv[1], *map(int, sys.argv[2:])
held, before = peak(), time.process_time()
bold = None
for _ in range(n):
    bold = None
    with h5py.File(path, "r") as file:
        bold = file["data"][:, first:end]
taken, most = time.process_time() - before, peak()
print(f"{taken / n:.5f} {held:.1f} {most:.1f} {bold.sum(dtype=np.float64):.9e}")
"""

LAYOUTS = {
    "contiguous": {},
    "chunked": {"chunks": True},
    "chunked, whole rows": {"chunks": "rows"},
    "gzip": {"chunks": True, "compression": "gzip"},
    "gzip, shuffle": {"chunks": True, "compression": "gzip", "shuffle": True},
}


def write(path, n_trs, n_voxels, options):
    options = dict(options)
    if options.get("chunks") == "rows":
        options["chunks"] = (8, n_voxels)
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", (n_trs, n_voxels), "f4", **options)
        # In steps of 1/256, as z-scored responses that were rounded once: gzip has something to find.
        block = 64
        for start in range(0, n_trs, block):
            values = rng.standard_normal((min(block, n_trs - start), n_voxels), dtype=np.float32)
            data[start : start + block] = np.round(values * 256) / 256


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("braintune", type=pathlib.Path, help="the example `hdf5_read`")
    parser.add_argument("--shape", type=int, nargs=2, default=[1_300, 96_000])
    parser.add_argument("--subset", type=int, default=5_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--reads", type=int, default=5, help="readings per process")
    args = parser.parse_args()
    n_trs, n_voxels = args.shape
    middle = (n_voxels - args.subset) // 2
    with tempfile.TemporaryDirectory() as folder:
        for name, options in LAYOUTS.items():
            path = pathlib.Path(folder) / "responses.hf5"
            write(path, n_trs, n_voxels, options)
            for what, first, end in [("all", 0, n_voxels), ("subset", middle, middle + args.subset)]:
                end_of_command = [str(path), str(first), str(end), str(args.reads)]
                commands = {
                    "braintune": [args.braintune.resolve(), *end_of_command],
                    "h5py": [sys.executable, "-c", H5PY, *end_of_command],
                }
                runs = {side: [] for side in commands}
                for _ in range(args.runs):
                    for side, command in commands.items():
                        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                        runs[side].append([float(value) for value in done.stdout.split()])
                report = {"layout": name, "voxels": what, "file_mb": round(path.stat().st_size / 1e6)}
                for side, values in runs.items():
                    cpu, held, most, _ = (statistics.median(column) for column in zip(*values))
                    report[side] = {"cpu_s": round(cpu, 4), "mb": round(most - held, 1)}
                sums = {f"{values[3]:.6e}" for side in runs.values() for values in side}
                assert len(sums) == 1, f"the two sides read different values: {sums}"
                report["result_mb"] = round(n_trs * (end - first) * 4 / 2**20, 1)
                report["ratio"] = round(report["braintune"]["cpu_s"] / report["h5py"]["cpu_s"], 3)
                print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
