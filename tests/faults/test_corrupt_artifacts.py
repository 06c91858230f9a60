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
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from slr_pipeline.errors import ArtifactError, SlrError
from slr_pipeline.io.container import open_container, seal
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
    index = FeatureFile(path, path.stem)
    clips = [store.read(sample) for sample in store.samples]
    return (
        [
            (c.sample, c.values.tobytes(), c.boxes.tobytes(), c.width, c.height, c.fps)
            for c in clips
        ],
        sorted((name, str(value)) for name, value in index.attributes.items()),
    )


def read_state(path: Path) -> object:
    content = TrainingState(path.parent, "this").load()
    if content is None:  # ignored with a warning: the training starts anew
        raise ArtifactError(f"{path}: ignored")
    return content["epoch"], content["weights"].numpy().tobytes()


def read_model(path: Path) -> object:
    state, sidecar = load_model(path.with_suffix(".safetensors"))
    return sidecar, [(name, tensor.numpy().tobytes()) for name, tensor in sorted(state.items())]


def read_weights(path: Path) -> object:
    state, header = load_weights(path)
    return header, [(name, tensor.numpy().tobytes()) for name, tensor in sorted(state.items())]


def read_scores(path: Path) -> object:
    actual = read_logits(path)
    return replace(actual, values=actual.values.tobytes(), answered=actual.answered.tobytes())


def read_rows(path: Path) -> object:
    return read_quality(path).to_dict("records")


PLAIN = (".json", ".csv")
"""Text files without a checksum: changed content may be read, but the reader never fails."""

READERS: dict[str, Callable[[Path], object]] = {
    "keypoints.h5": read_feature,
    "hand_crops.h5": read_feature,
    "flow.h5": read_feature,
    "heatmaps.h5": read_feature,
    "logits.h5": read_scores,
    "model.safetensors": read_model,
    "model.json": read_model,
    "weights.safetensors": read_weights,
    "metrics.json": read_metrics,
    "quality.csv": read_rows,
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


def mutated(whole: bytes, rng: random.Random) -> bytes:
    """The file changed in one of the ways that disks, networks and people change files."""
    n = len(whole)
    at, other = rng.randrange(n), rng.randrange(n)
    length = min(rng.choice([1, 2, 16, 512, 4096]), n - max(at, other))
    match rng.randrange(10):
        case 0 | 1 | 2:  # a flipped bit
            new = bytes([whole[at] ^ 1 << rng.randrange(8)])
            return whole[:at] + new + whole[at + 1 :]
        case 3:
            return whole[:at] + rng.randbytes(length) + whole[at + length :]
        case 4:
            return whole[:at] + bytes(length) + whole[at + length :]
        case 5:
            return whole[:at]
        case 6:  # a block overwritten by another
            return whole[:at] + whole[other : other + length] + whole[at + length :]
        case 7:  # missing bytes, then inserted ones
            return whole[:at] + whole[at + length :]
        case 8:
            return whole[:at] + whole[other : other + length] + whole[at:]
        case _:
            return whole + whole[at : at + length]


@pytest.mark.parametrize("name", READERS)
def test_a_changed_file_is_refused_or_read_the_same(
    artifacts: Path,
    read: Guarded[Outcome],
    tmp_path: Path,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for file in artifacts.glob(f"{Path(name).stem}.*"):
        shutil.copy(file, tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    outcome, content = read(str(path))
    assert outcome == "read", content
    rng = random.Random(name)
    refused = 0
    for number in range(MUTATIONS):
        path.write_bytes(mutated(whole, rng))
        outcome, result = read(str(path))
        if outcome == "refused":
            refused += 1
            assert result.startswith(str(path.parent)), result
            assert path.stem in result.split(": ")[0]
            assert len(result.splitlines()) == 1
            assert len(result) < 500
        elif path.suffix not in PLAIN:
            assert result == content, f"mutation {number} was read as other numbers"
    assert refused > (MUTATIONS // 10 if path.suffix in PLAIN else MUTATIONS // 2)
    with capsys.disabled():
        print(f"\n{name}: {MUTATIONS} mutations, {refused} refused")


# --- the seal -------------------------------------------------------------------------------------


def test_damage_is_found_in_its_block_only(tmp_path: Path) -> None:
    path = tmp_path / "keypoints.h5"
    frames = np.random.default_rng(1).random((200, 133, 3), np.float32)
    clips = [NewClip(name, frames, 9, 9, 25.0) for name in ("a", "b", "c")]
    write_feature(path, "keypoints", clips, {}, {})
    whole = path.read_bytes()
    with h5py.File(path) as file:
        values = file["values"]
        third = values.id.get_chunk_info(2)
    damaged = bytearray(whole)
    damaged[third.byte_offset + third.size // 2] ^= 1
    path.write_bytes(damaged)
    store = FeatureStore("keypoints", [path])
    np.testing.assert_array_equal(store.read("a").values, frames)
    with pytest.raises(ArtifactError, match=r"sample c .*bytes from \d+ on .* delete the file"):
        store.read("c")


def test_other_programs_read_sealed_files(artifacts: Path) -> None:
    with h5py.File(artifacts / "keypoints.h5") as file:
        assert file.attrs["feature"] == "keypoints"
        assert file["values"].shape == (18, 133, 3)


def test_a_file_changed_by_another_program_has_no_seal(artifacts: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(artifacts / "keypoints.h5", tmp_path))
    with h5py.File(path, "r+") as file:
        file["values"][0] = 0
    with pytest.raises(ArtifactError, match=r"without its seal.*; delete it and run again"):
        FeatureFile(path, "keypoints")


@pytest.mark.parametrize("name", ["hand_crops.h5", "logits.h5", "other.h5", "truth.h5"])
def test_another_file_in_its_place_is_refused(artifacts: Path, tmp_path: Path, name: str) -> None:
    """Other versions: tests/contract; those of other shards and estimators too."""
    path = tmp_path / "keypoints.h5"
    if name in ("other.h5", "truth.h5"):
        with h5py.File(path, "w") as file:
            file["values"] = np.zeros(3)
        if name == "other.h5":
            seal(path)
    else:
        shutil.copy(artifacts / name, path)
    with pytest.raises(ArtifactError, match=r"delete (it|the file) and run again") as caught:
        FeatureFile(path, "keypoints")
    assert len(str(caught.value).splitlines()) == 1


def test_a_seal_cut_off_or_of_another_file_is_none(artifacts: Path, tmp_path: Path) -> None:
    whole = (artifacts / "keypoints.h5").read_bytes()
    other = (artifacts / "heatmaps.h5").read_bytes()
    path = tmp_path / "x.h5"
    ends = [whole[:-1], whole[:-20], whole + b"\0", whole[:-20] + other[-20:], other[-20:], b""]
    for content in ends:
        path.write_bytes(content)
        with pytest.raises(OSError, match="without its seal"):
            open_container(path)


def test_weights_and_sidecar_of_two_trainings_are_refused(artifacts: Path, tmp_path: Path) -> None:
    for number in range(2):
        state = {"a": torch.full((3,), float(number))}
        save_model(tmp_path / f"{number}.safetensors", state, {"classes": ["a"]})
    shutil.copy(tmp_path / "1.safetensors", tmp_path / "0.safetensors")
    with pytest.raises(ArtifactError, match=r"not the weights that 0\.json beside it was"):
        load_model(tmp_path / "0.safetensors")


def test_a_sidecar_with_another_digest_is_refused(artifacts: Path, tmp_path: Path) -> None:
    for file in artifacts.glob("model.*"):
        shutil.copy(file, tmp_path)
    path = tmp_path / "model.json"
    content: dict[str, Any] = json.loads(path.read_text())
    path.write_text(json.dumps(content))  # other blanks and order are no other content
    assert load_model(tmp_path / "model.safetensors")[1]["epoch"] == 7
    path.write_text(json.dumps({**content, "sha256": "0" * 64}))
    with pytest.raises(ArtifactError, match=r"not the weights that model\.json beside it"):
        load_model(tmp_path / "model.safetensors")
