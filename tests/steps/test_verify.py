"""`verify` decodes again what has changed, and takes over the rest."""

import logging
import shutil
from pathlib import Path

import pytest

from slr_pipeline.config.experiment import TableData
from slr_pipeline.errors import DataError
from slr_pipeline.io.verified import Verified, read_verified
from slr_pipeline.samples.segments import Segment
from slr_pipeline.samples.shards import shards
from slr_pipeline.samples.table import load_samples
from slr_pipeline.samples.videos import FEW, digests
from slr_pipeline.schema import Fidelity
from slr_pipeline.steps.verify import verify
from tests.videos import signer, write


class Clips:
    """Clips of split train with colour and depth; `verify` runs in the folder `known`."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture, count: int = 3) -> None:
        self.folder, self.caplog = folder, caplog
        lines = ["sample,split,label,color,depth", "v,val,0,s0.mp4,", "t,test,1,s0.mp4,"]
        write(folder / "whole.mp4", signer(64, 48, 3))
        write(folder / "other.mp4", signer(64, 48, 4))
        for number in range(count):
            lines.append(f"s{number},train,{number % 2},s{number}.mp4,s{number}_depth.mp4")
            for name in (f"s{number}.mp4", f"s{number}_depth.mp4"):
                shutil.copy(folder / "whole.mp4", folder / name)
        (folder / "samples.csv").write_text("\n".join(lines) + "\n")
        self.data = TableData(layout="table", table=str(folder / "samples.csv"))

    def verify(
        self, shard: str = "all", shard_size: int = 99, fidelity: Fidelity = "corrected"
    ) -> tuple[dict[str, Verified], int]:
        """Rows of the table, and the number of samples that were decoded."""
        self.caplog.clear()
        out = self.folder / "out.csv"
        with self.caplog.at_level(logging.INFO):
            known = str(self.folder / "known")
            verify(self.data, "train", shard, shard_size, 60, str(out), known, fidelity)
        decoded = int(self.caplog.messages[-1].split()[2])
        return {row.sample: row for row in read_verified(out)}, decoded

    def digests(self, fidelity: Fidelity = "corrected") -> tuple[str, str]:
        (samples,) = shards(load_samples(self.data).split("train"), 99).values()
        return digests(samples, str(self.folder / "known/train/all.csv"), 60, fidelity)


@pytest.fixture
def clips(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Clips:
    return Clips(tmp_path, caplog)


@pytest.mark.parametrize("video", ["s1.mp4", "s1_depth.mp4"])
@pytest.mark.parametrize("cause", ["cut", "gone", "empty"])
def test_a_mended_clip_is_examined_and_no_other(clips: Clips, video: str, cause: str) -> None:
    path = clips.folder / video
    if cause == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 900 * (cause == "cut")])
    rows, decoded = clips.verify()
    assert (bool(rows["s1"].reason), decoded) == (True, 3)
    shutil.copy(clips.folder / "whole.mp4", path)
    mended, decoded = clips.verify()
    assert decoded == 1
    assert not any(row.reason for row in mended.values())
    assert mended["s1"].color_sha256 == mended["s0"].color_sha256
    assert {**rows, "s1": mended["s1"]} == mended


def test_copies_are_hashed_and_a_changed_one_is_decoded(clips: Clips) -> None:
    rows, _ = clips.verify()
    for path in clips.folder.glob("s*_depth.mp4"):
        path.touch()
    assert clips.verify() == (rows, 0)
    for name in ("s2.mp4", "s2_depth.mp4"):
        shutil.copy(clips.folder / "other.mp4", clips.folder / name)
    changed, decoded = clips.verify()
    assert (changed["s2"].frames, decoded) == (4, 1)


@pytest.mark.parametrize("times", [[0, 2, 4, 6], [0, 4, 30, 34]])
def test_published_takes_every_frame_without_decoding_again(clips: Clips, times: list[int]) -> None:
    """Of fast video and of a variable rate; of others features always have every frame."""
    clips.verify()
    assert clips.digests() == clips.digests("published")
    for name in ("s1.mp4", "s1_depth.mp4"):
        write(clips.folder / name, signer(64, 48, 4), times=times)
    rows, _ = clips.verify()
    published, decoded = clips.verify(fidelity="published")
    assert decoded == 0
    assert clips.digests()[1] != clips.digests("published")[1]
    frames = [row["s1"].feature_frames().tolist() for row in (rows, published)]
    assert frames[0] != frames[1] == [0, 1, 2, 3]
    assert rows["s0"].feature_frames().tolist() == [0, 1, 2]
    assert clips.verify() == (rows, 0)


def test_samples_are_known_in_another_shard(clips: Clips) -> None:
    rows, _ = clips.verify()
    names = shards(load_samples(clips.data).split("train"), 2)
    assert len(names) > 1
    for shard, samples in names.items():
        assert clips.verify(shard, 2) == ({s.name: rows[s.name] for s in samples}, 0)


def test_a_changed_clip_among_many_copies_ends_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Planning trusts many copies; what it planned without the change must not look complete."""
    clips = Clips(tmp_path, caplog, FEW + 1)
    clips.verify()
    before = clips.digests()
    for path in tmp_path.glob("s*.mp4"):
        path.touch()
    damaged = bytearray((tmp_path / "s3.mp4").read_bytes())
    damaged[-100:] = bytes(100)
    (tmp_path / "s3.mp4").write_bytes(damaged)
    assert clips.digests()[1] == before[1]
    with pytest.raises(DataError, match=r"^1 videos have other content .* first .*s3.mp4; run the"):
        clips.verify()
    assert clips.digests()[1] != before[1]
    assert clips.verify()[1] <= 1


@pytest.fixture
def segments(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Clips:
    """Three segments of one recording with depth, and clips."""
    clips = Clips(tmp_path, caplog)
    whole = [signer(64, 48, 1)[0]] * 100
    for name in ("long.mp4", "long_depth.mp4"):
        write(tmp_path / name, whole, options={"g": "20"})
    set_times(clips, ("0", "1"), ("1", "2.2"), ("2.48", ""))
    return clips


def set_times(clips: Clips, *times: tuple[str, str]) -> None:
    lines = [
        "sample,split,label,color,depth,start_s,end_s",
        "v,val,0,s0.mp4,,,",
        "t,test,1,s1.mp4,,,",
    ]
    lines += ["w,train,1,s2.mp4,s2_depth.mp4,,"]
    for number, (start, end) in enumerate(times):
        lines.append(f"p{number},train,{number % 2},long.mp4,long_depth.mp4,{start},{end}")
    (clips.folder / "samples.csv").write_text("\n".join(lines) + "\n")


def test_segments_are_verified_and_one_that_changes_is_decoded(segments: Clips) -> None:
    rows, decoded = segments.verify()
    assert {name: row.frames for name, row in rows.items()} == {
        "w": 3,
        "p0": 25,
        "p1": 30,
        "p2": 38,
    }
    assert decoded == 4
    assert rows["p1"].segment == Segment(1.0, 2.2)
    assert rows["p2"].segment == Segment(2.48)
    assert rows["p0"].source("depth") == f"{rows['p1'].depth_sha256} 0.000 to 1.000 s"
    before = segments.digests()
    set_times(segments, ("0", "1"), ("1.04", "2.24"), ("2.48", ""))
    assert segments.verify()[1] == 1
    assert all(old != new for old, new in zip(before, segments.digests(), strict=True))


def test_only_the_segment_that_fails_is_quarantined(segments: Clips) -> None:
    set_times(segments, ("0", "1"), ("1.041", "1.079"), ("2.48", "5"))
    rows, _ = segments.verify()
    reasons = [row.reason for row in rows.values() if row.reason]
    assert len(reasons) == 2
    assert "long.mp4: has no frame in 1.041 to 1.079 s; correct" in reasons[0]
    assert "long.mp4: is 4.000 s long, and the segment is 2.480 to 5.000 s" in reasons[1]


def test_empty_columns_of_segments_change_nothing(clips: Clips) -> None:
    clips.verify()
    table, before = clips.folder / "samples.csv", clips.digests()
    bytes_before = (clips.folder / "out.csv").read_bytes()
    lines = table.read_text().splitlines()
    table.write_text("\n".join([f"{lines[0]},start_s,end_s", *(f"{row},," for row in lines[1:])]))
    assert clips.digests() == before
    assert clips.verify()[1] == 0
    assert (clips.folder / "out.csv").read_bytes() == bytes_before
