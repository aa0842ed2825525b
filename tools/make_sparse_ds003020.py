"""A dataset of the size of a participant of ds003020, which takes no space: 84 stories, 20 GB of sparse files.

    python make_sparse_ds003020.py OUT [--subject UTS03] [--n-voxels 95556]
    time braintune check --dataset OUT

Responses are contiguous float32 of which nothing was written, sounds are stereo WAV of 44.1 kHz whose samples are a
hole, TextGrids are of the usual length (2.4 words and 9 phones a second). For the time of the quick check, which
reads headers, sizes and the ends of files; `--deep` would find constant voxels. Needs numpy and h5py.
"""

import argparse
import json
import pathlib
import struct

import h5py
import numpy as np

N_STORIES, WORDS_PER_S, PHONES_PER_WORD = 84, 2.4, 4


def write_wav(path, seconds, rate=44_100, channels=2):
    n_bytes = int(seconds * rate) * channels * 2
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + n_bytes, b"WAVE", b"fmt ", 16, 1, channels, rate,
                       rate * channels * 2, channels * 2, 16, b"data", n_bytes)
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(44 + n_bytes)


def tier(number, name, edges, labels):
    head = f'    item [{number}]:\n        class = "IntervalTier"\n        name = "{name}"\n        xmin = 0.0\n'
    head += f"        xmax = {edges[-1]}\n        intervals: size = {len(labels)}\n"
    intervals = [
        f'        intervals [{k + 1}]:\n            xmin = {edges[k]}\n            xmax = {edges[k + 1]}\n'
        f'            text = "{label}"\n'
        for k, label in enumerate(labels)
    ]
    return head + "".join(intervals)


def write_textgrid(path, seconds):
    n_words = int(seconds * WORDS_PER_S)
    words = np.linspace(0, seconds, n_words + 1).round(4)
    phones = np.linspace(0, seconds, n_words * PHONES_PER_WORD + 1).round(4)
    text = f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0.0\nxmax = {seconds}\ntiers? <exists>\nsize = 2\nitem []:\n'
    text += tier(1, "phone", phones, ["AH0", "T", "sp", "IY1"] * n_words)
    text += tier(2, "word", words, ["WORD"] * n_words)
    path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--subject", default="UTS03")
    parser.add_argument("--n-voxels", type=int, default=95_556)
    args = parser.parse_args()
    derivative = args.out / "derivative"
    responses = derivative / "preprocessed_data" / args.subject
    for folder in (responses, derivative / "TextGrids", args.out / "stimuli"):
        folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    lengths = {f"story{k:02}": int(n) for k, n in enumerate(rng.integers(250, 450, N_STORIES))}
    (derivative / "respdict.json").write_text(json.dumps(lengths))
    for story, n_acquired in lengths.items():
        seconds = 2.0 * (n_acquired - 5) - 15
        write_wav(args.out / "stimuli" / f"{story}.wav", seconds)
        write_textgrid(derivative / "TextGrids" / f"{story}.TextGrid", seconds)
        create = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        create.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        create.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        with h5py.File(responses / f"{story}.hf5", "w") as file:
            space = h5py.h5s.create_simple((n_acquired - 20, args.n_voxels))
            h5py.h5d.create(file.id, b"data", h5py.h5t.IEEE_F32LE, space, dcpl=create)


if __name__ == "__main__":
    main()
