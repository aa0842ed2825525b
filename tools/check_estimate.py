"""What `study --dry-run` predicts against what a run takes, step by step.

    python tools/check_estimate.py target/release/braintune STUDY.toml OUT [--lock FILE]

Predicts, runs the study into the folder OUT (which must not be there, nor the cache OUT.cache) and prints for each step
seconds predicted and measured, and the peak of the process's resident memory. Linux only: a step's peak is read from
/proc, where it is set back as the step begins. Run it with nothing else on the machine. With --lock both happen under
`flock FILE`. Python's standard library is all that it needs.
"""

import argparse
import fcntl
import os
import re
import subprocess
import sys
import time

UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
TIMES = {"s": 1, "min": 60, "h": 3600}
QUANTITY = r"(-|[\d.]+ (?:[kMGT]?B|s|min|h))"
ROW = re.compile(
    r"^(.+?)\s+(to do|done|begun|outdated)\s+(\d+)\s+(\d+)\s+(\d+)\s+"
    + r"\s+".join([QUANTITY] * 4)
    + "$"
)


def value(text):
    if text == "-":
        return 0.0
    number, unit = text.split()
    return float(number) * (UNITS.get(unit) or TIMES[unit])


def predict(command, environment):
    found = subprocess.run(
        [*command, "--dry-run"], env=environment, capture_output=True, text=True
    )
    text = found.stderr + found.stdout
    if found.returncode:
        sys.exit(text)
    rows = {}
    for line in text.splitlines():
        row = ROW.match(line)
        if row:
            name, _, _, _, _, memory, _, _, seconds = row.groups()
            rows[name] = (value(seconds), value(memory))
    print("\n".join(text.splitlines()[-1:]))
    return rows


class Watched:
    """Time, CPU time and peak memory of a process since they were last taken."""

    def __init__(self, pid):
        self.pid = pid
        self.began = time.monotonic()
        self.cpu = 0.0

    def take(self):
        now = time.monotonic()
        try:
            with open(f"/proc/{self.pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            with open(f"/proc/{self.pid}/status") as file:
                peak = int(re.search(r"VmHWM:\s+(\d+)", file.read()).group(1)) * 1024
            with open(f"/proc/{self.pid}/clear_refs", "w") as file:
                file.write("5")
        except (OSError, AttributeError, IndexError):
            cpu, peak = self.cpu, 0  # it has ended
        taken = (now - self.began, cpu - self.cpu, peak)
        self.began, self.cpu = now, cpu
        return taken


def measure(command, environment):
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, bufsize=1
    )
    watched = Watched(process.pid)
    steps, current = {}, None
    for line in process.stderr:
        step = re.match(r"step \d+ of \d+: (.*)", line.strip())
        is_end = re.match(r"(\d+ steps done now|wrote |failed:|skipped:)", line.strip())
        if step or is_end:
            taken = watched.take()
            if current:
                steps[current] = taken
            elif step:
                print(f"reading and checking: {taken[0]:.1f} s, {taken[2] / 1e6:.0f} MB")
            current = step.group(1) if step else None
        elif not is_end:
            print(line, end="", file=sys.stderr)
    if process.wait():
        sys.exit(f"the run ended with {process.returncode}")
    return steps


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("study")
    parser.add_argument("out")
    parser.add_argument("--lock")
    args = parser.parse_args()
    if os.path.exists(args.out) or os.path.exists(args.out + ".cache"):
        sys.exit(f"{args.out} or {args.out}.cache is there: give another OUT")
    environment = {**os.environ, "BRAINTUNE_CACHE": os.path.abspath(args.out + ".cache")}
    command = [args.binary, "study", args.study, "--out", args.out]
    lock = open(args.lock, "w") if args.lock else None
    if lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
    predicted = predict(command, environment)
    measured = measure(command, environment)
    if lock:
        lock.close()
    print(f"{'step':<52} {'said s':>8} {'took s':>8} {'CPU s':>8} {'ratio':>6}  {'said MB':>8} {'took MB':>8} {'ratio':>6}")
    total = [0.0, 0.0, 0.0]
    for name, (seconds, memory) in predicted.items():
        took, cpu, peak = measured[name]
        total = [total[0] + seconds, total[1] + took, total[2] + cpu]
        ratio = f"{memory / peak:6.2f}" if peak else "     -"
        print(
            f"{name:<52} {seconds:8.1f} {took:8.1f} {cpu:8.1f} {seconds / took:6.2f}  "
            f"{memory / 1e6:8.0f} {peak / 1e6:8.0f} {ratio}"
        )
    said, took, cpu = total
    print(f"{'all':<52} {said:8.1f} {took:8.1f} {cpu:8.1f} {said / took:6.2f}")


if __name__ == "__main__":
    main()
