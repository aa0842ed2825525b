"""Probes of every layer with transformers and scikit-learn: the reference for `braintune probe`.

Shares no code with the Rust crates: hidden states are HuggingFace's, probes are scikit-learn's LogisticRegression. Speakers of
each split are taken from braintune's `provenance.json`, since who validates is drawn by its generator. C is chosen on the
validation rows by log loss, among the same values.

    python tools/probe_reference.py PROBED DATA MODEL

PROBED: output folder of `braintune probe --task words|sentence-type|phonemes|phoneme-frames`. For each task and layer: test
items that scikit-learn and braintune have right, and items of which they say different classes; exit 1 where these are more
than two. (Of `phonemes`: macro F1, by 0.01; `phoneme-frames` has thousands of items: five in a thousand.)
"""

import csv
import json
import sys
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, log_loss
from sklearn.preprocessing import StandardScaler
from transformers import AutoFeatureExtractor, AutoModel

CS = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0]
RATE = 16_000
FOLD = {"ao": "aa", "ax": "ah", "ax-h": "ah", "axr": "er", "hv": "hh", "ix": "ih", "el": "l", "em": "m", "en": "n",
        "nx": "n", "eng": "ng", "zh": "sh", "ux": "uw"} | dict.fromkeys(
            ["pcl", "tcl", "kcl", "bcl", "dcl", "gcl", "pau", "epi", "q"], "h#")

PHONEMES = ("aa ae ah aw ay b ch d dh dx eh er ey f g h# hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z").split()


def load(path):
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate != RATE:
        mono = scipy.signal.resample_poly(mono, RATE // np.gcd(rate, RATE), rate // np.gcd(rate, RATE))
    return mono.astype(np.float32)


class Whisper:
    """Hidden states of the frames that saw audio, [n_layers + 1, n_frames, d_model]."""

    def __init__(self, folder):
        self.extractor = AutoFeatureExtractor.from_pretrained(folder)
        self.encoder = AutoModel.from_pretrained(folder).encoder.float().eval()

    @torch.no_grad()
    def __call__(self, samples):
        mel = self.extractor(samples, sampling_rate=RATE, return_tensors="pt").input_features
        states = self.encoder(mel, output_hidden_states=True).hidden_states
        n = min(-(-(-(-len(samples) // 160)) // 2), states[0].shape[1] - 1) + 1
        return torch.stack([state[0, :n] for state in states]).numpy()


def digits(data):
    """(path, group, label) of the Speech Commands layout."""
    lists = {name: set((data / f"{name}_list.txt").read_text().split()) for name in ("testing", "validation")}
    for word in sorted(p for p in data.iterdir() if p.is_dir()):
        for path in sorted(word.glob("*.wav")):
            key = f"{word.name}/{path.name}"
            split = 2 if key in lists["testing"] else 1 if key in lists["validation"] else 0
            yield path, split, word.name


def timit(data, speakers):
    for path in sorted(data.glob("T*/*/*/*.WAV")):
        found = [i for i, name in enumerate(("train", "validation", "test")) if path.parent.name in speakers[name]]
        phones = [line.split() for line in path.with_suffix(".PHN").read_text().splitlines() if line.strip()]
        yield path, found[0], [(int(a) / RATE, int(b) / RATE, FOLD.get(p, p)) for a, b, p in phones]


def rows(task, data, speakers, model):
    """Features [n_layers + 1, n_rows, d_model] and labels by split."""
    x, y = [[], [], []], [[], [], []]
    items = digits(data) if task == "words" else timit(data, speakers)
    for path, split, label in items:
        states = model(load(path))
        if task == "phoneme-frames":
            times = np.arange(states.shape[1]) * 320 / RATE
            for start, end, phone in label:
                inside = np.flatnonzero((times >= start) & (times < end))
                x[split].append(states[:, inside])
                y[split] += [phone] * len(inside)
            continue
        x[split].append(states.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32))
        if task == "phonemes":
            y[split].append({phone for _, _, phone in label})
        else:
            y[split].append(label if task == "words" else path.stem[:2])
    return [np.concatenate(part, axis=1) for part in x], y


def best(x, y):
    """The probe of the C that does best on the validation rows."""
    found = None
    for c in CS:
        probe = LogisticRegression(C=c, tol=1e-6, max_iter=10_000).fit(x[0], y[0])
        loss = log_loss(y[1], probe.predict_proba(x[1]), labels=probe.classes_)
        if found is None or loss < found[0]:
            found = loss, probe
    return found[1]


def of_labels(x, y):
    """Macro F1 of one probe for each label; C by the mean loss over all labels that vary."""
    table = [np.array([[name in row for name in PHONEMES] for row in part]) for part in y]
    varying = [i for i in range(len(PHONEMES)) if 0 < table[0][:, i].sum() < len(table[0])]
    found = None
    for c in CS:
        probes = [LogisticRegression(C=c, tol=1e-6, max_iter=10_000).fit(x[0], table[0][:, i]) for i in varying]
        losses = [log_loss(table[1][:, i], p.predict_proba(x[1])[:, 1], labels=[False, True])
                  for i, p in zip(varying, probes)]
        if found is None or np.mean(losses) < found[0]:
            found = np.mean(losses), probes
    predicted = np.tile(table[0].all(axis=0), (len(x[2]), 1))
    for i, probe in zip(varying, found[1]):
        predicted[:, i] = probe.predict(x[2])
    return f1_score(table[2], predicted, average="macro", zero_division=0)


def main():
    warnings.filterwarnings("ignore")
    probed, data, folder = (Path(a) for a in sys.argv[1:4])
    record = json.loads((probed / "provenance.json").read_text())["inputs"]["tasks"]
    ours = {(r["task"], int(r["layer"]), r["metric"]): r for r in csv.DictReader((probed / "probes.csv").open())}
    predicted = defaultdict(list)
    for task in (t["name"] for t in record if t["name"] != "phonemes"):
        for r in csv.DictReader((probed / f"{task}.predictions.csv").open()):
            predicted[task, int(r["layer"])].append(r["predicted"])
    model, wrong = Whisper(folder), 0
    for task in record:
        name = task["name"]
        x, y = rows(name, data, task["groups"], model)
        for layer in range(len(x[0])):
            scaler = StandardScaler().fit(x[0][layer].astype(np.float64))
            scaled = [scaler.transform(part[layer].astype(np.float64)) for part in x]
            if name == "phonemes":
                theirs, our = of_labels(scaled, y), float(ours[name, layer, "macro_f1"]["value"])
                print(f"{name} layer {layer}: macro F1 {our:.4f}, scikit-learn {theirs:.4f}")
                wrong += abs(theirs - our) > 0.01
                continue
            n = len(y[2])
            row = ours[name, layer, "accuracy"]
            assert (len(y[0]), n) == (int(row["n_train"]), int(row["n_test"])), "other rows"
            theirs, truth = best(scaled, y).predict(scaled[2]), np.array(y[2])
            our = np.array(predicted[name, layer])
            apart = int((our != theirs).sum())
            right = [int((said == truth).sum()) for said in (our, theirs)]
            print(f"{name} layer {layer}: {right[0]} of {n} right, scikit-learn {right[1]}, {apart} said otherwise", flush=True)
            wrong += apart > max(2, n // 200)
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
