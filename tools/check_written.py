"""Checkpoints and adapters that braintune writes, loaded by transformers and peft.

    cargo build --release -p braintune-backbone --example rewrite
    python tools/check_written.py target/release/examples/rewrite FOLDER_OF_MODELS [FOLDER ...]

Each folder holds checkpoint folders. Every one is read and written by braintune and loaded by AutoModel:
keys that are missing, unexpected or of another shape are an error (Whisper's decoder is not written), and
so are hidden states that differ from the original's by more than 2e-4. `<model>-adapter` beside a model is
an adapter: it is written as an adapter and merged, and both must give the hidden states of the original.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import peft
import torch
import transformers as t

TOLERANCE = 2e-4


def load(folder):
    model, info = t.AutoModel.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    wrong = [k for k in info["missing_keys"] if not k.startswith("decoder.")]
    wrong += sorted(info["unexpected_keys"]) + sorted(map(str, info["mismatched_keys"]))
    return model.eval(), wrong


@torch.no_grad()
def states(model, folder):
    extractor = t.AutoFeatureExtractor.from_pretrained(folder)
    clip = (0.1 * np.sin(0.05 * np.arange(8000)) + 0.01 * np.cos(0.7 * np.arange(8000))).astype(np.float32)
    inputs = extractor(clip, sampling_rate=16000, return_tensors="pt")
    if model.config.model_type == "whisper":
        return model.get_encoder()(inputs.input_features, output_hidden_states=True).hidden_states
    return model(inputs.input_values, output_hidden_states=True).hidden_states


def difference(a, b):
    return max((x - y).abs().max().item() for x, y in zip(a, b, strict=True))


def run(*command):
    subprocess.run([str(word) for word in command], check=True)


def checked(name, found, wrong=()):
    print(f"{name:32} largest difference {found:.1e}  keys missing, unexpected or misshapen: {len(wrong)}")
    return found < TOLERANCE and not wrong


def original(folder):
    """The model as it is found, heads' keys and all; f16 and bf16 become f32."""
    return t.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()


def main():
    rewrite, *folders = map(Path, sys.argv[1:])
    good = True
    for folder in sorted(path.parent for root in folders for path in root.glob("*/config.json")):
        with tempfile.TemporaryDirectory() as out:
            run(rewrite, folder, out)
            model, wrong = load(out)
            if wrong:
                print(json.dumps(wrong[:10]))
            expected = states(original(folder), folder)
            good &= checked(folder.name, difference(states(model, out), expected), wrong)
        adapter = folder.with_name(folder.name + "-adapter")
        if adapter.is_dir():
            with tempfile.TemporaryDirectory() as out:
                run(rewrite, folder, out, adapter)
                expected = states(peft.PeftModel.from_pretrained(original(folder), adapter).eval(), folder)
                ours = peft.PeftModel.from_pretrained(original(folder), out).eval()
                good &= checked(adapter.name, difference(states(ours, folder), expected))
                merged, wrong = load(Path(out) / "merged")
                good &= checked(adapter.name + ", merged", difference(states(merged, folder), expected), wrong)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
