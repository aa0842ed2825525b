"""Layer-wise encoding with a Whisper encoder, in NumPy and PyTorch: the reference for `braintune encode`.

Shares no code with the Rust crates. It is written from the definition of one alignment number, for
people to read and to compare against, not for speed: the audio is decoded by soundfile, the hidden
states come from HuggingFace `transformers`, and all that follows is float64 NumPy.

Per story: hidden state of the last frame that saw audio, at each window end -> Lanczos to the TR
midpoints -> trim -> z-score -> delays. Then ridge without intercept (penalty alpha squared), one alpha
per target by leave-one-story-out R2, and Pearson r on the test stories.
"""

import argparse
import json
import math
import os
from pathlib import Path

import h5py
import numpy as np
import scipy.signal
import soundfile
import torch
from transformers import AutoFeatureExtractor, AutoModel

SAMPLE_RATE = 16_000
MIN_SAMPLES = 400
TR_S = 2.0


# --- audio -> hidden states at window ends ---


def find_audio(dataset, story):
    for suffix in (".wav", ".flac", ".mp3", ".ogg"):
        if (path := dataset / "stimuli" / (story + suffix)).exists():
            return path
    raise SystemExit(f"{dataset / 'stimuli'}: no audio for story {story}")


def load_audio(path):
    """Mono float32 samples at 16 kHz."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate != SAMPLE_RATE:
        common = math.gcd(rate, SAMPLE_RATE)
        mono = scipy.signal.resample_poly(mono, SAMPLE_RATE // common, rate // common)
    return mono.astype(np.float32)


def windows(n_samples, window_s, stride_s):
    """(end in seconds, first sample, one past the last sample) of each window of 400 samples or more."""
    spans, k = [], 1
    while (end_s := k * stride_s) <= n_samples / SAMPLE_RATE:
        first, last = (round(s * SAMPLE_RATE) for s in (max(0.0, end_s - window_s), end_s))
        if last - first >= MIN_SAMPLES:
            spans.append((end_s, first, last))
        k += 1
    return spans


def last_frame(n_samples):
    """The last of the encoder's 1,500 outputs whose receptive field holds audio."""
    return min((math.ceil(n_samples / 160) + 1) // 2, 1499)


def load_model(folder):
    """The feature extractor and the encoder in float32; no key of the encoder may be missing."""
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    model, info = AutoModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    missing = [key for key in info["missing_keys"] if not key.startswith("decoder.")]
    if wrong := missing + sorted(info["mismatched_keys"]):
        raise SystemExit(f"{folder}: tensors missing or of another shape: {wrong}")
    return extractor, (model.get_encoder() if model.config.model_type == "whisper" else model).eval()


@torch.no_grad()
def hidden_states(extractor, encoder, clips):
    """[n_layers, n_clips, d_model]: every hidden state of each clip at its last frame with audio."""
    if encoder.config.model_type != "whisper":
        return np.concatenate([last_states(extractor, encoder, clip) for clip in clips], axis=1)
    mel = extractor(clips, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
    layers = encoder(mel, output_hidden_states=True).hidden_states
    rows, frames = list(range(len(clips))), [last_frame(len(clip)) for clip in clips]
    return torch.stack([layer[rows, frames] for layer in layers]).numpy()


def last_states(extractor, encoder, clip):
    """[n_layers, 1, d_model] of a model over samples, each clip alone: padding would change group norms."""
    values = extractor(clip, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_values
    return torch.stack([h[:, -1] for h in encoder(values, output_hidden_states=True).hidden_states]).numpy()


def extract_story(extractor, encoder, audio, spans, batch, label=""):
    """(times [n_windows], features [n_layers, n_windows, d_model])."""
    parts = []
    for at in range(0, len(spans), batch):
        clips = [audio[first:last] for _, first, last in spans[at : at + batch]]
        parts.append(hidden_states(extractor, encoder, clips))
        if at // batch % 10 == 0:
            print(f"{label}: {at + len(clips)}/{len(spans)} windows", flush=True)
    return np.array([end for end, _, _ in spans]), np.concatenate(parts, axis=1)


def story_features(args, story, loaded):
    """As `extract_story`, kept in `--work`. `loaded` keeps the model."""
    path = args.work / f"{args.model.name}-{story}-w{args.window_s:g}-s{args.stride_s:g}.npz"
    if not path.exists():
        loaded.extend([] if loaded else load_model(args.model))
        audio = load_audio(find_audio(args.dataset, story))
        spans = windows(len(audio), args.window_s, args.stride_s)
        times, features = extract_story(*loaded, audio, spans, args.batch, story)
        np.savez(part := path.with_suffix(".part.npz"), times=times, features=features)
        os.replace(part, path)
    saved = np.load(path)
    return saved["times"], saved["features"].astype(np.float64)


# --- hidden states -> rows of the design matrix ---


def lanczos_matrix(tr_times, times, lobes=3):
    """[n_trs, n_times]: weights with the cutoff at the TR rate, rows not normalised."""
    d = (tr_times[:, None] - times[None, :]) / TR_S
    weights = np.sinc(d) * np.sinc(d / lobes)  # numpy's sinc(x) is sin(pi x) / (pi x)
    return np.where(np.abs(d) > lobes, 0.0, weights)


def zscore(x):
    """Columns to mean 0 and population sd 1; a constant column becomes 0."""
    sd = x.std(axis=0)
    return np.divide(x - x.mean(axis=0), sd, out=np.zeros_like(x), where=sd > 0)


def delayed(x, delays):
    """[n_rows, n_delays * n_columns]: `x` shifted down by each delay, zeros moved in at the top."""
    return np.hstack([np.vstack([np.zeros_like(x[:d]), x[: max(len(x) - d, 0)]]) for d in delays])


def design(times, features, n_trs, trim, delays):
    """One story's rows of the design matrix of one layer."""
    tr_times = TR_S * np.arange(n_trs) - 9.0
    rows = lanczos_matrix(tr_times, times) @ features
    return delayed(zscore(rows[trim[0] : n_trs - trim[1]]), delays)


def responses(args, story, skip):
    """[n_rows, n_targets] float64, as stored, without the first `skip` rows, NaN as 0."""
    path = args.dataset / "derivative/preprocessed_data" / args.subject / f"{story}.hf5"
    with h5py.File(path) as file:
        return np.nan_to_num(file["data"][skip:].astype(np.float64))


# --- ridge ---


def ridge_path(x, y, alphas):
    """Yield the weights [n_features, n_targets] for each alpha: (X'X + alpha^2 I)^-1 X'y."""
    values, vectors = np.linalg.eigh(x.T @ x)
    projected = vectors.T @ (x.T @ y)
    for alpha in alphas:
        yield vectors @ (projected / (values + alpha**2)[:, None])


def r2(y, predicted):
    """Per target, about the mean of these rows; 0 where `y` is constant."""
    residual = ((y - predicted) ** 2).sum(axis=0)
    total = ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    return np.where(total > 0, 1.0 - residual / np.where(total > 0, total, 1.0), 0.0)


def pearson(y, predicted):
    """Per target; 0 where either side is constant."""
    a, b = y - y.mean(axis=0), predicted - predicted.mean(axis=0)
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.where(norm > 0, (a * b).sum(axis=0) / np.where(norm > 0, norm, 1.0), 0.0)


def fit_layer(train_x, train_y, test_x, test_y, alphas):
    """(r [n_targets], best_alpha [n_targets], cv [n_alphas, n_targets])."""
    cv = np.zeros((len(alphas), train_y[0].shape[1]))
    for held in range(len(train_x)):
        x = np.vstack(train_x[:held] + train_x[held + 1 :])
        y = np.vstack(train_y[:held] + train_y[held + 1 :])
        for i, coef in enumerate(ridge_path(x, y, alphas)):
            cv[i] += r2(train_y[held], train_x[held] @ coef) / len(train_x)
    best = cv.argmax(axis=0)
    r = np.zeros(cv.shape[1])
    for i, coef in enumerate(ridge_path(np.vstack(train_x), np.vstack(train_y), alphas)):
        chosen = best == i
        r[chosen] = pearson(test_y[:, chosen], test_x @ coef[:, chosen])
    return r, alphas[best], cv


# --- command line ---


def parse_alphas(text):
    """`logspace:FIRST:LAST:N` (powers of ten) or numbers with commas between."""
    if text.startswith("logspace:"):
        first, last, n = text.split(":")[1:]
        return np.logspace(float(first), float(last), int(n))
    return np.array([float(a) for a in text.split(",")])


def integers(text):
    return [int(v) for v in text.split(",")]


def parse_args():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("--dataset", type=Path, required=True)
    p.add_argument("--subject", required=True)
    p.add_argument("--model", type=Path, required=True, help="HuggingFace folder of a Whisper model")
    p.add_argument("--train-stories", type=lambda t: t.split(","), required=True)
    p.add_argument("--test-stories", type=lambda t: t.split(","), required=True)
    p.add_argument("--window-s", type=float, default=16.1)
    p.add_argument("--stride-s", type=float, default=0.1)
    p.add_argument("--delays", type=integers, default=[1, 2, 3, 4])
    p.add_argument("--alphas", type=parse_alphas, default=parse_alphas("logspace:1:4:15"))
    p.add_argument("--trim", type=integers, default=[10, 5])
    p.add_argument("--test-trim", type=integers, default=[50, 5])
    p.add_argument("--out", type=Path, required=True, help="npz to write")
    p.add_argument("--work", type=Path, help="folder of kept features [that of --out]")
    p.add_argument("--batch", type=int, default=1, help="windows in one forward pass")
    p.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    return p.parse_args()


def main():
    args = parse_args()
    args.work = args.work or args.out.resolve().parent
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    n_trs = {k: v - 5 for k, v in json.loads((args.dataset / "derivative/respdict.json").read_text()).items()}
    loaded = []  # the model, once it is needed
    states = {s: story_features(args, s, loaded) for s in args.train_stories + args.test_stories}
    # The stored responses begin at the row after the training trim.
    train_y = [responses(args, s, 0) for s in args.train_stories]
    test_y = np.vstack([responses(args, s, args.test_trim[0] - args.trim[0]) for s in args.test_stories])

    def rows(story, layer, trim):
        return design(states[story][0], states[story][1][layer], n_trs[story], trim, args.delays)

    results = []
    print("layer  mean r    median r  max r")
    for layer in range(len(states[args.test_stories[0]][1])):
        train_x = [rows(s, layer, args.trim) for s in args.train_stories]
        test_x = np.vstack([rows(s, layer, args.test_trim) for s in args.test_stories])
        results.append(fit_layer(train_x, train_y, test_x, test_y, args.alphas))
        r = results[-1][0]
        print(f"{layer:5d}  {r.mean():.6f}  {np.median(r):.6f}  {r.max():.6f}", flush=True)
    r, best_alpha, cv = (np.array(part) for part in zip(*results, strict=True))
    np.savez(args.out, r=r, best_alpha=best_alpha, cv_scores=cv, alphas=args.alphas)


if __name__ == "__main__":
    main()
