"""Hostile files: no code runs, nothing is written elsewhere, memory stays bounded.

Pickles that run code: tests/io/foreign/test_logits.py and test_annotations.py,
tests/models/test_published.py, tests/training/test_state.py. Zips with bad names or false sizes:
tests/io/test_submission.py and tests/io/foreign/test_logits.py.
"""

import io
import json
import os
import pickle
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from slr_pipeline.errors import ArtifactError, DataError, SlrError
from slr_pipeline.io.container import seal
from slr_pipeline.io.documents import write_document
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import FeatureFile
from slr_pipeline.io.submission import read_predictions
from tests.feature_files import write_feature

BOMB_BYTES = 10 * 2**30
BOMB_CRC = 0xF41D912F
"""CRC-32 of 10 GiB of zeros."""
MEMORY = 3 * 2**30
"""Address space of a process that reads a bomb; importing torch takes half of it."""

PART = 2**20


def bomb_of(name: str) -> bytes:
    """A zip of 10 MB whose only member unpacks to 10 GiB of zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(bytes(PART)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(PART)) + packer.flush(zlib.Z_FULL_FLUSH)
    last = packer.flush()
    packed = first + again * (BOMB_BYTES // PART - 1) + last
    sizes = struct.pack("<HHQQ", 1, 16, BOMB_BYTES, len(packed))
    common = struct.pack(
        "<HHHHHIIIHH", 45, 0, 8, 0, 33, BOMB_CRC, 2**32 - 1, 2**32 - 1, len(name), 20
    )
    local = b"PK\x03\x04" + common + name.encode() + sizes
    central = b"PK\x01\x02\x2d\0" + common + struct.pack("<HHHII", 0, 0, 0, 0, 0)
    central += name.encode() + sizes
    start = len(local) + len(packed)
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), start, 0)
    return local + packed + central + end


@pytest.fixture(scope="module")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bomb as every kind of file that may be a zip."""
    folder = tmp_path_factory.mktemp("bombs")
    for name, member in (
        ("x.zip", "predictions.csv"),
        ("x.npz", "logits.npy"),
        ("x.pth", "archive/data.pkl"),
    ):
        (folder / name).write_bytes(bomb_of(member))
    with zipfile.ZipFile(folder / "x.zip") as archive, archive.open("predictions.csv") as file:
        assert archive.infolist()[0].file_size == BOMB_BYTES
        assert file.read(2**22) == bytes(2**22)
    # Weights of zeros as torch writes them, compressed: 256 MiB in 256 kB.
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2**26)}, buffer)
    with (
        zipfile.ZipFile(buffer) as old,
        zipfile.ZipFile(folder / "tensor.pth", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return folder


READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
from slr_pipeline.errors import SlrError
from {module} import {function}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    {function}(sys.argv[1]{more})
except SlrError as error:
    print(error)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("name", "module", "function", "more"),
    [
        ("x.zip", "slr_pipeline.io.submission", "read_predictions", ", 226"),
        ("x.npz", "slr_pipeline.io.foreign.logits", "read_foreign_logits", ""),
        ("x.pth", "slr_pipeline.io.foreign.weights", "read_foreign", ""),
        ("tensor.pth", "slr_pipeline.io.foreign.weights", "read_foreign", ""),
    ],
)
def test_a_small_zip_of_ten_gigabytes_is_not_unpacked(
    bombs: Path, name: str, module: str, function: str, more: str
) -> None:
    path = bombs / name
    assert path.stat().st_size < 2**24
    code = READ.format(memory=MEMORY, module=module, function=function, more=more)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    line, grown_kb = done.stdout.splitlines()
    assert line.startswith(str(path))
    assert int(grown_kb) < 100_000  # the file itself, and a little


def test_a_link_in_a_zip_is_text_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("a,1\n")
    link = zipfile.ZipInfo("predictions.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, str(tmp_path / "secret"))
    with pytest.raises(DataError, match="expected `name,label`"):
        read_predictions(tmp_path / "x.zip", 226)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret", "x.zip"]


def write_keypoints(path: Path) -> None:
    clip = NewClip("a", np.zeros((2, 133, 3), np.float32), 9, 9, 25.0)
    write_feature(path, "keypoints", [clip])


@pytest.mark.parametrize("write", [write_keypoints, lambda path: write_document(path, {"a": 1})])
def test_nothing_is_written_through_a_link(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """A link at the path of a result is replaced; its target is unchanged."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("before")
    path = tmp_path / "results" / "x"
    path.parent.mkdir()
    path.symlink_to(outside / "file")
    write(path)
    assert path.is_file()
    assert not path.is_symlink()
    assert (outside / "file").read_text() == "before"
    assert [p.name for p in outside.iterdir()] == ["file"]


def test_a_feature_file_that_reads_others_is_refused(tmp_path: Path) -> None:
    """E.g. another group's keypoints whose values are any file of this machine."""
    path = tmp_path / "x.h5"
    write_keypoints(path)
    (tmp_path / "secret").write_bytes(bytes(9999))
    for source in ("link", "bytes"):
        with h5py.File(path, "r+") as file:
            del file["values"]
            if source == "link":
                file["values"] = h5py.ExternalLink("other.h5", "values")
            else:
                part = [(str(tmp_path / "secret"), 0, 2 * 133 * 3 * 4)]
                file.create_dataset("values", (2, 133, 3), "f4", external=part)
        seal(path)
        with pytest.raises(ArtifactError, match="other files; give a file that is whole"):
            FeatureFile(path, "keypoints")


def test_code_in_any_file_of_a_run_is_not_run(tmp_path: Path) -> None:
    """A pickle that creates a folder, in place of every kind of file."""
    from slr_pipeline.io.documents import read_metrics
    from slr_pipeline.io.features import open_features
    from slr_pipeline.io.foreign.logits import read_foreign_logits
    from slr_pipeline.io.foreign.weights import read_foreign
    from slr_pipeline.io.logits import read_logits
    from slr_pipeline.io.models import load_model, load_weights
    from slr_pipeline.io.quality import read_quarantined
    from slr_pipeline.io.verified import read_verified

    trap = tmp_path / "trap"

    class Hostile:
        def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
            return os.mkdir, (str(trap),)

    content = pickle.dumps({"a": Hostile()})
    (tmp_path / "x.json").write_text(json.dumps({}))
    readers: dict[str, Callable[[Path], object]] = {
        "x.h5": lambda path: open_features([path]),
        "y.h5": read_logits,
        "x.safetensors": load_model,
        "y.safetensors": load_weights,
        "x.pth": read_foreign,
        "x.pkl": read_foreign_logits,
        "x.npz": read_foreign_logits,
        "metrics.json": read_metrics,
        "quality.csv": lambda path: read_quarantined([path]),
        "verify.csv": read_verified,
        "submission.csv": lambda path: read_predictions(path, 226),
    }
    for name, read in readers.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SlrError) as caught:
            read(tmp_path / name)
        assert len(str(caught.value).splitlines()) == 1
        assert not trap.exists()
    pickle.loads(content)  # it would have
    assert trap.exists()
