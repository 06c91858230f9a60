"""What counts as a changed video: size, time and content, not its place."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from slr_pipeline.io.verified import write_known
from slr_pipeline.io.video import sha256_of
from slr_pipeline.samples.table import Sample
from slr_pipeline.samples.videos import FEW, Examined, digests, files_of, mark_stop

SECONDS = 120


class Shard:
    """Samples with files instead of videos, and the table of what is known of them."""

    def __init__(self, folder: Path, count: int = 3) -> None:
        self.folder, self.table = folder, str(folder / "known" / "all.csv")
        self.names = [f"s{number}" for number in range(count)]
        self.root = folder / "videos"
        self.root.mkdir()
        for number, name in enumerate(self.names):
            (self.root / f"{name}.mp4").write_text(f"colour {number:03}")
            (self.root / f"{name}_depth.mp4").write_text(f"depth {number:03}")

    def samples(self) -> list[Sample]:
        paths = ((name, str(self.root / f"{name}")) for name in self.names)
        return [Sample(n, "train", 0, "1", f"{p}.mp4", f"{p}_depth.mp4") for n, p in paths]

    def remember(self, quarantined: Sequence[str] = ()) -> None:
        rows = []
        for sample in self.samples():
            facts = (sample.color, sample.depth or "", files_of(sample))
            if sample.name in quarantined:
                rows.append(Examined(sample.name, *facts))
            else:
                sums = (sha256_of(sample.color), sha256_of(sample.depth or ""))
                rows.append(Examined(sample.name, *facts, 9, 64, 48, 25.0, *sums))
        write_known(self.table, rows)

    def changed(self, before: tuple[str, str]) -> tuple[bool, bool]:
        """Whether the files, and the content, have changed."""
        files, content = self.digests()
        return files != before[0], content != before[1]

    def digests(self, seconds: int = SECONDS) -> tuple[str, str]:
        return digests(self.samples(), self.table, seconds)


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    shard = Shard(tmp_path)
    shard.remember()
    return shard


def test_what_was_remembered_changes_nothing(shard: Shard) -> None:
    before = shard.digests()
    assert shard.changed(before) == (False, False)


@pytest.mark.parametrize("video", ["s1.mp4", "s1_depth.mp4"])
@pytest.mark.parametrize("text", ["longer than before", "COLOUR 001", "DEPTH 001"])
def test_other_content_is_a_change(shard: Shard, video: str, text: str) -> None:
    before = shard.digests()
    (shard.root / video).write_text(text)
    assert shard.changed(before) == (True, True)


def test_a_copy_and_a_moved_folder_keep_the_content(shard: Shard) -> None:
    before = shard.digests()
    (shard.root / "s0.mp4").touch()
    shutil.copy(shard.root / "s1_depth.mp4", shard.folder / "x")
    os.replace(shard.folder / "x", shard.root / "s1_depth.mp4")
    assert shard.changed(before) == (True, False)
    shard.root = shard.root.rename(shard.folder / "elsewhere")
    assert shard.changed(before) == (True, False)


def test_a_copy_of_everything_is_not_read_when_planning(tmp_path: Path) -> None:
    shard = Shard(tmp_path, FEW + 1)
    shard.remember()
    before = shard.digests()
    for path in shard.root.iterdir():
        path.write_text(path.read_text().upper())
    assert shard.changed(before) == (True, False)  # `verify` finds out


def test_removed_videos_change_nothing_until_another_changes(shard: Shard) -> None:
    before = shard.digests()
    (shard.root / "s0.mp4").unlink()
    (shard.root / "s1_depth.mp4").unlink()
    assert shard.changed(before) == (False, False)
    (shard.root / "s2.mp4").write_text("another text")
    assert shard.changed(before) == (True, True)


def test_a_missing_video_that_appears_is_a_change(shard: Shard) -> None:
    (shard.root / "s0.mp4").rename(shard.folder / "s0.mp4")
    shard.remember(quarantined=["s0"])
    before = shard.digests()
    assert shard.changed(before) == (False, False)
    (shard.folder / "s0.mp4").rename(shard.root / "s0.mp4")
    assert shard.changed(before) == (True, True)


def test_what_a_quarantine_may_be_due_to_is_a_change(shard: Shard) -> None:
    shard.remember(quarantined=["s0"])
    before = shard.digests()
    (shard.root / "s0.mp4").chmod(0)
    assert shard.changed(before) == (True, True)
    (shard.root / "s0.mp4").chmod(0o644)
    assert shard.digests(seconds=2 * SECONDS)[1] != before[1]
    mark_stop(shard.table)
    assert shard.changed(before) == (True, False)


@pytest.mark.parametrize("text", ["", "sample\n", "sample,files,frames\ns0,v1,many\n", "\0"])
def test_a_damaged_table_is_ignored(shard: Shard, text: str) -> None:
    before = shard.digests()
    Path(shard.table).write_text(text)
    assert shard.changed(before) == (False, True)
