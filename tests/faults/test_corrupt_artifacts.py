"""Files of a run with changed bytes are refused in one line, or read unchanged.

Every file is read in a child process with a time limit: libhdf5 may search without end in a file
with changed bytes.
"""

import hashlib
import json
import logging
import random
import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from slr_pipeline.errors import ArtifactError, SlrError
from slr_pipeline.io.container import open_container
from slr_pipeline.io.documents import read_metrics
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import FeatureFile, FeatureStore, open_features
from slr_pipeline.io.guarded import Guarded
from slr_pipeline.io.logits import read_logits
from slr_pipeline.io.models import load_model, load_weights, save_model, save_weights
from slr_pipeline.io.quality import read_quality
from slr_pipeline.io.verified import read_verified
from slr_pipeline.schema import FEATURES
from slr_pipeline.training.state import TrainingState
from tests import videos
from tests.feature_files import write_feature
from tests.report.small_run import make_results

MUTATIONS = 40
"""Of each kind of file."""

LIMIT_S = 60
"""To read one file, which takes about 10 ms, on a slow machine."""

MEMORY = 8 * 2**30

Outcome = tuple[str, str]
"""`refused` and the message, or `read` and a digest of the content."""


def read_feature(path: Path) -> object:
    store = open_features([path])[path.stem]
    clips = [
        replace(clip, values=clip.values.tobytes(), boxes=clip.boxes.tobytes())
        for clip in map(store.read, store.samples)
    ]
    return clips, sorted(map(str, FeatureFile(path, path.stem).attributes.items()))


def read_state(path: Path) -> object:
    content = TrainingState(path.parent, "this").load()
    if content is None:  # ignored with a warning: the training starts anew
        raise ArtifactError(f"{path}: ignored")
    return content["epoch"], content["weights"].numpy().tobytes()


def read_weights(path: Path) -> object:
    load = load_weights if path.stem == "weights" else load_model
    state, header = load(path.with_suffix(".safetensors"))
    return header, [(name, tensor.numpy().tobytes()) for name, tensor in sorted(state.items())]


def read_scores(path: Path) -> object:
    actual = read_logits(path)
    return replace(actual, values=actual.values.tobytes(), answered=actual.answered.tobytes())


PLAIN = (".json", ".csv")
"""Text files without a checksum: changed content may be read, but the reader never fails."""

READERS: dict[str, Callable[[Path], object]] = {
    "keypoints.h5": read_feature,
    "hand_crops.h5": read_feature,
    "flow.h5": read_feature,
    "heatmaps.h5": read_feature,
    "logits.h5": read_scores,
    "model.safetensors": read_weights,
    "model.json": read_weights,
    "weights.safetensors": read_weights,
    "metrics.json": read_metrics,
    "quality.csv": lambda path: read_quality(path).to_dict("records"),
    "verify.csv": read_verified,
    "state.pt": read_state,
}


def outcome_of(path: str) -> Outcome:
    """Read a file."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    logging.disable()
    torch.set_num_threads(1)
    try:
        content = READERS[Path(path).name](Path(path))
    except SlrError as error:
        return "refused", str(error)
    return "read", hashlib.sha256(repr(content).encode()).hexdigest()


@pytest.fixture(scope="module")
def read() -> Iterator[Guarded[Outcome]]:
    """`outcome_of` in a child process; fails if a file crashes it or is not read in time."""
    with Guarded(outcome_of, LIMIT_S) as guarded:
        yield guarded


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole file of each kind, written by the code of a run."""
    folder = tmp_path_factory.mktemp("artifacts")
    results = make_results(tmp_path_factory.mktemp("run")).parent
    shutil.copy(results / "tracks/rgb/metrics.json", folder)
    shutil.copy(results / "streams/joint/train/logits/val.h5", folder / "logits.h5")
    shutil.copy(results / "quality/train.csv", folder / "quality.csv")
    shutil.copy(results / "verify/test/all.csv", folder / "verify.csv")
    for feature in ("keypoints", "hand_crops", "flow", "heatmaps"):
        write(folder / f"{feature}.h5", feature)
    generator = torch.Generator().manual_seed(1)
    weights = {name: torch.randn(64, 64, generator=generator) for name in ("a.weight", "b.bias")}
    sidecar = {"classes": ["ağaç", "b"], "metrics": {"val_accuracy": 0.75}, "epoch": 7}
    save_model(folder / "model.safetensors", weights, sidecar)
    save_weights(folder / "weights.safetensors", weights, {"model": "vtn", "source": "imagenet"})
    TrainingState(folder, "this").save({"epoch": 3, "weights": weights["a.weight"]})
    return folder


def write(path: Path, feature: str, samples: tuple[str, ...] = ("a", "b", "gone")) -> None:
    schema = FEATURES[feature]
    rng = np.random.default_rng(1)

    def clips() -> Iterator[NewClip]:
        for sample in samples:
            T = 0 if sample == "gone" else schema.frames or 9
            small = rng.random((T, *(min(n, 24) for n in schema.shape)))
            values = np.resize(small, (T, *schema.shape))
            values = (values * (255 if schema.dtype == "uint8" else 1)).astype(schema.dtype)
            boxes = rng.integers(0, 9, (T, schema.boxes, 4)).astype(np.int32)
            yield NewClip(sample, values, 64, 48, 25.0, boxes, dict.fromkeys(schema.counts, 1))

    made_with = {"estimator": "x", "weights_sha256": "0" * 64}
    write_feature(path, feature, clips(), made_with, {"settings": {"a": 1}})


def zero(data: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(data))
    data[start : start + 512] = bytes(len(data[start : start + 512]))


DAMAGES = (
    *(videos.flip_bit, videos.flip_bit, videos.overwrite, zero),
    *(videos.delete, videos.insert, videos.double),
)


@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_is_refused_or_read_the_same(
    artifacts: Path, read: Guarded[Outcome], tmp_path: Path, name: str
) -> None:
    for file in artifacts.glob(f"{Path(name).stem}.*"):
        shutil.copy(file, tmp_path)
    path = tmp_path / name
    outcome, content = read(str(path))
    assert outcome == "read", content
    rng = random.Random(name)
    refused = 0
    for number in range(MUTATIONS):
        damage = rng.choice([*DAMAGES, videos.cut(rng.random())])
        videos.damaged(path, artifacts / name, damage, rng)
        outcome, result = read(str(path))
        if outcome == "refused":
            refused += 1
            assert result.startswith(str(path.parent)), result
            assert path.stem in result.split(": ")[0]
            assert len(result.splitlines()) == 1
            assert len(result) < 500
        elif path.suffix not in PLAIN:
            assert result == content, f"mutation {number} was read as other numbers"
    print(f"\n{name}: {MUTATIONS} mutations, {refused} refused")
    assert refused > (MUTATIONS // 10 if path.suffix in PLAIN else MUTATIONS // 2)


# --- the seal -------------------------------------------------------------------------------------


def test_damage_is_found_in_its_block_only(tmp_path: Path) -> None:
    path = tmp_path / "keypoints.h5"
    frames = np.random.default_rng(1).random((200, 133, 3), np.float32)
    clips = [NewClip(name, frames, 9, 9, 25.0) for name in ("a", "b", "c")]
    write_feature(path, "keypoints", clips, {}, {})
    with h5py.File(path) as file:
        third = file["values"].id.get_chunk_info(2)
    damaged = bytearray(path.read_bytes())
    damaged[third.byte_offset + third.size // 2] ^= 1
    path.write_bytes(damaged)
    store = FeatureStore("keypoints", [path])
    np.testing.assert_array_equal(store.read("a").values, frames)
    with pytest.raises(ArtifactError, match=r"sample c .*bytes from \d+ on .* delete the file"):
        store.read("c")


def test_a_file_changed_by_another_program_has_no_seal(artifacts: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(artifacts / "keypoints.h5", tmp_path))
    with h5py.File(path, "r+") as file:
        file["values"][0] = 0
    with pytest.raises(ArtifactError, match=r"without its seal.*; delete it and run again"):
        FeatureFile(path, "keypoints")


def test_a_seal_cut_off_or_of_another_file_is_none(artifacts: Path, tmp_path: Path) -> None:
    whole = (artifacts / "keypoints.h5").read_bytes()
    other = (artifacts / "heatmaps.h5").read_bytes()
    path = tmp_path / "x.h5"
    ends = [whole[:-1], whole[:-20], whole + b"\0", whole[:-20] + other[-20:], other[-20:], b""]
    for content in ends:
        path.write_bytes(content)
        with pytest.raises(OSError, match="without its seal"):
            open_container(path)


def test_weights_and_sidecar_of_two_trainings_are_refused(tmp_path: Path) -> None:
    for number in range(2):
        state = {"a": torch.full((3,), float(number))}
        save_model(tmp_path / f"{number}.safetensors", state, {"epoch": number})
    sidecar = tmp_path / "0.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text())))  # other blanks
    assert load_model(tmp_path / "0.safetensors")[1]["epoch"] == 0
    shutil.copy(tmp_path / "1.safetensors", tmp_path / "0.safetensors")
    with pytest.raises(ArtifactError, match=r"not the weights that 0\.json beside it was"):
        load_model(tmp_path / "0.safetensors")
