"""Makes the seed corpora of the fuzz targets: `python make.py`, from anywhere.

Small fixtures of the crates are copied; the rest is made here, seeded. A model is one of transformers with as
few numbers as will do. Made with numpy 2.4.6, soundfile 0.14.0, h5py 3.16.0, nibabel 5.4.2, torch 2.9.1,
safetensors 0.8.0, transformers 5.23.0. Files that a person or a fuzzer added, with another name, stay.
"""

import gzip
import io
import json
import tempfile
from pathlib import Path

import h5py
import nibabel
import numpy as np
import soundfile
import torch
import transformers
from safetensors.numpy import save

HERE = Path(__file__).parent
CRATES = HERE.parent.parent / "crates"
LINE = {"value": 0.1, "low": 0.05, "high": 0.2}


def put(target, name, data):
    path = HERE / target / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)


def copy(target, folder, *names):
    for name in names:
        put(target, name, (CRATES / folder / name).read_bytes())


def array_file(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def audio():
    codecs = "audio/tests/fixtures/codecs"
    copy("audio_samples", codecs, "u8.wav", "i16.wav", "alaw.wav", "ulaw_stereo.wav", "f32_extensible.wav")
    copy("audio_samples", codecs, "empty.wav", "ima_adpcm.wav")
    copy("audio_coded", codecs, "low.mp3", "short.ogg", "empty.ogg", "opus.ogg")
    tone = (3000 * np.sin(np.arange(400) * 0.1)).astype(np.int16)
    for name, n_channels, subtype in [("mono.flac", 1, "PCM_16"), ("stereo.flac", 2, "PCM_24")]:
        buffer = io.BytesIO()
        samples = np.repeat(tone[:, None], n_channels, 1)
        soundfile.write(buffer, samples, 16_000, format="FLAC", subtype=subtype)
        put("audio_coded", name, buffer.getvalue())
    for name, coding, size, order in [("pcm10", "pcm", 2, "10"), ("pcm01", "pcm", 2, "01"), ("ulaw", "ulaw", 1, "1")]:
        head = (
            "NIST_1A\n   1024\nchannel_count -i 1\nsample_count -i 100\nsample_rate -i 16000\n"
            f"sample_n_bytes -i {size}\nsample_byte_format -s{len(order)} {order}\n"
            f"sample_coding -s{len(coding)} {coding}\nend_head\n"
        )
        put("audio_samples", f"{name}.sph", head.encode().ljust(1024) + tone.tobytes()[: 100 * size])


def hdf5():
    folder = "fmri/tests/fixtures/hdf5"
    names = ["dtype_be_f2", "dtype_le_i4", "filter_all_big_endian", "filter_fletcher32", "filter_lzf", "user_block"]
    names += ["filter_shuffle_gzip", "latest_chunked_gzip", "latest_resizable_both", "latest_resizable_rows"]
    names += ["layout_compact", "layout_resizable_both", "bad_strings", "bad_group", "bad_no_rows"]
    copy("hdf5", folder, *(f"{name}.hf5" for name in names))
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["data"] = np.arange(6, dtype="<f4").reshape(3, 2)
        repeats = np.arange(12, dtype="<f4").reshape(2, 3, 2)
        file.create_dataset("individual_repeats", data=repeats, chunks=(1, 2, 2), compression="gzip")
    put("hdf5", "repeats.hf5", buffer.getvalue())
    copy("mapper", "fmri/tests/fixtures/mapper", "left.hdf", "whole.hdf", "bad_negative.hdf")


def images():
    copy("nifti", "fmri/tests/fixtures/voxel_mask", "bold.nii.gz", "mask.nii.gz")
    copy("nifti", "fmri/tests/fixtures/label_volume", "whole_dseg.nii.gz", "floats_dseg.nii.gz")
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 2, 2)
    for name, kind in [("v1.nii", nibabel.Nifti1Image), ("v2.nii", nibabel.Nifti2Image)]:
        image = kind(values, np.diag([2.0, 2.0, 3.0, 1.0]))
        image.header.set_xyzt_units("mm", "sec")
        image.header.set_slope_inter(0.5, 1.0)
        put("nifti", name, image.to_bytes())
    # A pair in one: as header and as image it is the same bytes.
    pair = bytearray((HERE / "nifti/v1.nii").read_bytes())
    pair[344:348] = b"ni1\0"
    put("nifti", "pair", bytes(pair))
    put("nifti", "big.nii", nibabel.Nifti1Image(values, None, nibabel.Nifti1Header(endianness=">")).to_bytes())
    put("nifti", "v2.nii.gz", gzip.compress((HERE / "nifti/v2.nii").read_bytes(), mtime=0))


def surfaces():
    names = ["ascii.label.gii", "b64bin.shape.gii", "b64gz.func.gii", "hand_ascii_col.gii", "hand_b64gz_row.gii"]
    copy("gifti", "fmri/tests/fixtures/gifti", *names)
    copy("gifti", "fmri/tests/fixtures/surface", "ascii.surf.gii", "b64gz.surf.gii")
    copy("regions", "fmri/tests/fixtures/annot", "new.annot", "old.annot", "zero.annot")
    copy("regions", "fmri/tests/fixtures/label_volume", "dseg.tsv")
    put("regions", "regions.json", '{"auditory": [0, 2], "visual": [1]}')
    put("regions", "labels.json", '{"1": "A1", "-2": "V1"}')
    put("regions", "labels.txt", "# No name R G B A\n0 Unknown 0 0 0 0\n17 Left-Hippocampus 220 216 20 0\n")


def stories():
    names = ["long_crlf", "long_latin1", "long_utf16_le", "short_utf16_be", "short_utf8"]
    copy("textgrid", "fmri/tests/fixtures/textgrid", *(f"{name}.TextGrid" for name in names))
    phones = [{"duration": 0.25, "phone": "ay_S"}]
    word = {"case": "success", "word": "I", "start": 0.5, "end": 0.75, "phones": phones}
    put("textgrid", "align.json", json.dumps({"words": [word, {"case": "not-found-in-audio", "word": "um"}]}))
    points = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1\n<exists>\n1\n"TextTier"\n"p"\n0\n1\n1\n1e-1\n"x"\n'
    put("textgrid", "points.TextGrid", points)
    for name in ["one_hole", "regular"]:
        report = (CRATES / f"fmri/tests/fixtures/tr_report/{name}.report").read_bytes()
        put("huth", name, b'{"tale": 60, "other": 200}\0' + report)
    put("huth", "short", '{"tale": 31}\0' + "".join(f"{2 * k} trigger\n" for k in range(20)) + "9 sound-start\n")


def folders():
    copy("numpy", "fmri/tests/fixtures/numpy", "channel_time.npy", "repeats_fortran.npy", "dtype_be_f2.npy")
    copy("numpy", "fmri/tests/fixtures/numpy", "version_3.npy", "bad_structured.npy", "compressed.npz", "fortran.npz")
    buffer = io.BytesIO()
    np.savez(buffer, data=np.ones((3, 2), "<i2"), repeats=np.ones((2, 3, 2), "<f8"))
    put("numpy", "repeats.npz", buffer.getvalue())
    head = 'name = "a"\nrate_hz = 100\nfirst_time_s = 0.005\n'
    put("folder", "least.toml", head + '[[story]]\nname = "tale"\n')
    every = 'name = "a"\nmodality = "eeg"\ntr_s = 0.5\naxes = "channel-time"\nresponses = "responses/{subject}/{story}.npy"\n'
    every += 'key = "data"\nrepeats_key = "repeats"\nsubjects = ["S1"]\noutside = true\n[trim]\ntrain = [0, 1]\ntest = [1, 0]\n'
    every += '[[story]]\nname = "tale"\nfirst_time_s = -3.0\nn_times = 14\nstored = [1, 13]\naudio = "../a.wav"\n'
    put("folder", "every.toml", every + 'textgrid = "a.TextGrid"\n[[story]]\nname = "other"\nfirst_time_s = 1e300\n')
    bids = 'derivatives = "d"\ncache = "c"\ntasks = ["a"]\nspace = "T1w"\ndesc = "preproc"\nmask = "m.nii"\norder = "pycortex"\n'
    bids += 'runs = "parts"\nonset_s = 1.5\ntrial_type = "story"\nsmoothing_mm = 6.0\nhigh_pass_s = 140.0\ndetrend = true\n'
    put("folder", "bids.toml", bids + "z_score = true\n[n_trs]\na = 300\n[trim]\ntrain = [5, 5]\n")
    sidecar = {"RepetitionTime": 2.0, "StartTime": 1.0, "SliceTimingCorrected": True}
    rows = "onset\tduration\ttrial_type\tstim_file\n0.0\t13.0\tmusic\ta_audio.wav\n15.0\t422.0\tstory\ta_audio.wav\n"
    put("bids", "whole", rows + "\0" + json.dumps(sidecar))
    put("bids", "least", "onset\n2.5\n\0" + '{"RepetitionTime": 2}')


def corpora():
    item = {"action": "query", "sentence": "is it", "recordings": [{"file": "audio.flac"}]}
    put("corpora", "slurp", json.dumps(item) + "\n" + json.dumps(item) + "\n")
    put("corpora", "speech_commands", "yes/a_nohash_0.wav\n")
    put("corpora", "timit", "0 2000 h#\n2000 4000 ix\n4000 4800 kcl\n4800 6000 k\n")
    put("corpora", "word_classes", 'word,class\ndog,animal\n"saw",tool\n')


def model(config, kind, preprocessor):
    """`config.json`, `preprocessor_config.json` and weights, as transformers writes them."""
    torch.manual_seed(1)
    made = kind(config)
    with tempfile.TemporaryDirectory() as folder:
        made.save_pretrained(folder)
        preprocessor.save_pretrained(folder)
        names = ["config.json", "preprocessor_config.json", "model.safetensors"]
        texts = [(Path(folder) / name).read_bytes() for name in names]
    return made, texts


def models():
    sizes = dict(
        conv_dim=(4, 4), conv_kernel=(10, 3), conv_stride=(5, 2), num_feat_extract_layers=2, hidden_size=4,
        num_hidden_layers=1, num_attention_heads=2, intermediate_size=4, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, vocab_size=8, mask_time_prob=0.0,
    )
    features = transformers.Wav2Vec2FeatureExtractor()
    wav2vec2 = (transformers.Wav2Vec2Config(**sizes), transformers.Wav2Vec2Model)
    made, texts = model(*wav2vec2, features)
    put("checkpoint", "wav2vec2", b"\0".join(texts))
    buffer = io.BytesIO()
    torch.save(made.state_dict(), buffer)
    put("torch", "zip", buffer.getvalue())
    half = {name: tensor.half() for name, tensor in made.state_dict().items()}
    for name, state in [("legacy", made.state_dict()), ("half", half)]:
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=name == "half")
        put("torch", name, buffer.getvalue())
    wavlm = (transformers.WavLMConfig(**sizes, num_buckets=8, max_bucket_distance=16), transformers.WavLMModel)
    put("checkpoint", "wavlm", b"\0".join(model(*wavlm, features)[1]))
    whisper = transformers.WhisperConfig(
        vocab_size=8, num_mel_bins=8, d_model=4, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=4,
        decoder_layers=1, decoder_attention_heads=2, decoder_ffn_dim=4, max_source_positions=50,
        max_target_positions=4, pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0,
    )
    mel = transformers.WhisperFeatureExtractor(feature_size=8, chunk_length=1)
    put("checkpoint", "whisper", b"\0".join(model(whisper, transformers.WhisperModel, mel)[1]))

    index = {"metadata": {"total_size": 8}, "weight_map": {key: "a.safetensors" for key in made.state_dict()}}
    put("shards", "whole", json.dumps(index))
    put("shards", "outside", json.dumps({"weight_map": {"a": "../a.safetensors"}}))

    rng = np.random.default_rng(1)
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 4.0, "lora_dropout": 0.1, "target_modules": ["q_proj", "v_proj"]}
    place = "base_model.model.encoder.layers.0.attention"
    updates = {}
    for name in ["q_proj", "v_proj"]:
        updates[f"{place}.{name}.lora_A.weight"] = rng.normal(size=(2, 4)).astype("f4")
        updates[f"{place}.{name}.lora_B.weight"] = rng.normal(size=(4, 2)).astype("f4")
    put("adapter", "whole", json.dumps(config).encode() + b"\0" + save(updates))

    layers = {f"hidden_states.{i}": rng.normal(size=(3, 2)).astype("f4") for i in range(2)}
    put("features", "layers", save({**layers, "times": np.arange(3) * 0.1}))
    put("features", "frozen", save({"output": np.zeros((2, 3, 4), "f4")}, {"sha256": "0" * 64, "kind": "frozen parts"}))


def studies():
    for name, array in [
        ("f4", np.ones((3, 2), "<f4")), ("f8", np.asfortranarray(np.ones((3, 2), ">f8"))), ("i2", np.arange(4, dtype="<i2")),
        ("u8", np.arange(4, dtype="<u8")), ("bool", np.array([True, False])), ("u1", np.arange(4, dtype="u1")),
    ]:
        put("arrays", name, array_file(array))
    put("arrays", "folds", "[[0, 1], [2, 3]]")
    put("study", "example.toml", (CRATES.parent / "docs/examples/lebel-whisper.toml").read_bytes())
    every = 'seed = 2\n[dataset]\npath = "d"\nnoise_ceiling = { S1 = "c.npy" }\nrois = { S1 = "r.json" }\n'
    every += '[[models]]\nname = "m"\npath = "m"\n[conditions]\ncontrols = ["other-story", "stimulus"]\n'
    every += '[encoding]\nalphas = [1.0, 10.0]\ndelays = "1-4"\ncv = "bootstrap"\nscore = "neg-mse"\ntrim = [5, 5]\n'
    put("study", "every.toml", every + '[tuning]\nceiling_threshold = 0.1\n[probes]\ntasks = ["word-rate"]\nsplit = "paper"\n')
    who = {"model": "m", "condition": "pretrained", "participant": "S1"}
    roi = {**who, "roi": "all"}
    results = {
        "schema_version": 1, "braintune": "0.1.0", "title": "t", "question": "q", "settings": [{"name": "a", "value": "b"}],
        "models": ["m"], "participants": ["S1"], "rois": ["all"],
        "conditions": [{"name": "pretrained", "kind": "pretrained"}, {"name": "brain-tuned", "kind": "tuned"}],
        "curves": [{**roi, "n_voxels": 3, "mean_r": [LINE, LINE], "normalized": [0.2, None], "q_value": [0.01, None]},
                   {**roi, "condition": "brain-tuned", "n_voxels": 3, "mean_r": [LINE], "normalized": [], "q_value": []}],
        "baselines": [{"baseline": "acoustic", "participant": "S1", "roi": "all", "mean_r": LINE, "normalized": 0.1}],
        "comparisons": [{"model": "m", "layer": 1, "roi": "all", "condition": "brain-tuned", "reference": "pretrained",
                         "measure": "r", "difference": LINE, "unit": "participants", "n_units": 3, "n_positive": 2,
                         "p_value": 0.04, "q_value": 0.06}],
        "probes": [{**who, "task": "word-rate", "metric": "r2", "scores": [LINE, LINE], "baseline": 0.0, "peak": LINE,
                    "n_test": 9}],
        "low_level": [{**roi, "feature": "mfcc", "layer": 1, "full": 0.2, "residual": 0.1, "impact": 0.5}],
        "voxels": [{**who, "condition": "brain-tuned", "reference": "pretrained", "layer": 1, "edges": [0.0, 0.5, 1.0],
                    "before": [2, 1], "after": [1, 2], "joint": [[0, 1, 1], [1, 1, 1]]}],
        "training": [{**who, "condition": "brain-tuned", "points": [[1, 0.5, None], [2, 0.4, 0.6]], "kept_step": 2}],
        "sharing": [{"participant": "S1", "tuning": ["a"], "validation": ["b"], "encoding": ["a"], "test": ["c"],
                     "shared": 1.0}],
        "surfaces": [{"caption": "c", "png": "a.png"}], "excluded": [{"what": "w", "why": "y"}], "warnings": ["w"],
        "steps": [{"name": "s", "status": "failed", "problem": "p"}], "provenance": {"a": [1]},
    }
    alignment = "subject,model,layer,roi,n_voxels,mean_r,ci_low,ci_high,mean_r_normalized,q_value\nS1,m,0,all,3,0.1,0,0.2,,\n"
    probes = "task,model,layer,metric,value,ci_low,ci_high,n_test\nt,m,0,r2,0.1,0,0.2,9\nt,m,0,baseline,0.0,,,\nt,m,,peak_layer,1,1,2,\n"
    put("report", "whole", json.dumps(results) + "\0" + alignment + "\0" + probes)
    record = {"inputs": {"train_stories": ["a"], "validation_stories": []}}
    put("report", "tables", json.dumps(record) + "\0" + alignment + "\0" + probes)
    every = 'epochs = 2\nclip_s = 2.0\nfreeze = ["feature-encoder", "layers:0-5"]\noptimiser = { kind = "adamw", weight_decay = 0.02 }\n'
    every += 'objective = { kind = "cosine-huber", delta = 0.5 }\n[stimulus]\nmask_time_prob = 0.5\n[lora]\nr = 4\ntargets = ["q_proj"]\n'
    put("tuning", "every.toml", every)
    progress = {"step": 1, "losses": [0.5, 1], "first_loss": 0.5, "best": None, "n_worse": 0, "done": False}
    put("tuning_state", "step", json.dumps({"progress": progress, "read": []}))
    put("tuning_state", "best", json.dumps({"progress": {**progress, "best": [1, 0.25], "n_worse": 1}, "read": [{}]}))


for make in [audio, hdf5, images, surfaces, stories, folders, corpora, models, studies]:
    make()
