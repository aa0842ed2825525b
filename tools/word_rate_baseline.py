"""What counting words predicts: word rate, word length and word duration at TR rate, through the same ridge.

The baseline for any model of speech on a story dataset. Words come from the TextGrids; each TR has the number of
words whose middle falls into it, their mean number of letters and their mean duration (0 where there is none).
Trim, z-score, delays, ridge and scores are those of `encode_reference.py`.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np
from encode_reference import TR_S, delayed, fit_layer, integers, parse_alphas, responses, zscore

NO_WORDS = {"", "sentence_start", "sentence_end", "br", "lg", "ls", "ns", "sp"}
INTERVAL = re.compile(r'xmin = ([\d.]+)\s+xmax = ([\d.]+)\s+text = "((?:[^"]|"")*)"')


def words(path):
    """(start, end, text) of the words in the tier named `word`, else the second tier."""
    text = path.read_text(encoding="utf-8", errors="replace")
    tiers = re.split(r"item \[\d+\]:", text)[1:]
    named = [t for t in tiers if re.search(r'name = "words?"', t, re.IGNORECASE)]
    tier = named[0] if named else tiers[min(1, len(tiers) - 1)]
    found = [(float(a), float(b), label.strip()) for a, b, label in INTERVAL.findall(tier)]
    return [(a, b, label) for a, b, label in found if label.lower().strip("{}") not in NO_WORDS]


def features(dataset, story, n_trs):
    """[n_trs, 3]; TR k covers the second before and after its middle, 2 k - 9 s from the sound's start."""
    x = np.zeros((n_trs, 3))
    for start, end, label in words(dataset / "derivative/TextGrids" / f"{story}.TextGrid"):
        k = int(((start + end) / 2 + 10.0) // TR_S)
        if 0 <= k < n_trs:
            x[k] += [1.0, len(label), end - start]
    x[:, 1:] /= np.maximum(x[:, :1], 1.0)
    return x


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--dataset", type=Path, required=True)
    p.add_argument("--subject", required=True)
    p.add_argument("--train-stories", type=lambda t: t.split(","), required=True)
    p.add_argument("--test-stories", type=lambda t: t.split(","), required=True)
    p.add_argument("--delays", type=integers, default=[1, 2, 3, 4])
    p.add_argument("--alphas", type=parse_alphas, default=parse_alphas("logspace:1:4:15"))
    p.add_argument("--trim", type=integers, default=[10, 5])
    p.add_argument("--test-trim", type=integers, default=[50, 5])
    p.add_argument("--first", type=int, default=20, help="also the mean over so many first targets")
    args = p.parse_args()
    n_trs = {k: v - 5 for k, v in json.loads((args.dataset / "derivative/respdict.json").read_text()).items()}

    def rows(story, trim):
        x = features(args.dataset, story, n_trs[story])
        return delayed(zscore(x[trim[0] : n_trs[story] - trim[1]]), args.delays)

    train_x = [rows(s, args.trim) for s in args.train_stories]
    train_y = [responses(args, s, 0) for s in args.train_stories]
    test_x = np.vstack([rows(s, args.test_trim) for s in args.test_stories])
    test_y = np.vstack([responses(args, s, args.test_trim[0] - args.trim[0]) for s in args.test_stories])
    r, _, _ = fit_layer(train_x, train_y, test_x, test_y, args.alphas)
    print(f"mean r {r.mean():.4f}, over the first {args.first} targets {r[: args.first].mean():.4f}")


if __name__ == "__main__":
    main()
