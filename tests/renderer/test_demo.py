"""The demo data set: signs, signers and committed files."""

import csv
from dataclasses import asdict
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
from renderer.signers import SIGNERS
from renderer.signs import MOUTHS, ORIENTATIONS, PLACES, SIGNS, Sign

DEMO = Path(__file__).resolve().parents[2] / "demo"
SPLITS = ("train", "val", "test")


def _differing(a: Sign, b: Sign) -> set[str]:
    names = {"label", "gloss", "turkish"}
    return {k for k, v in asdict(a).items() if k not in names and v != asdict(b)[k]}


def _sign(gloss: str) -> Sign:
    return next(s for s in SIGNS if s.gloss == gloss)


def test_minimal_pairs_differ_in_one_field() -> None:
    assert _differing(_sign("say"), _sign("taste")) == {"handshapes"}
    assert _differing(_sign("rise"), _sign("sink")) == {"direction"}


def test_all_other_signs_differ_in_more_than_one_field() -> None:
    pairs = [(a, b) for i, a in enumerate(SIGNS) for b in SIGNS[i + 1 :]]
    minimal = [(a.gloss, b.gloss) for a, b in pairs if len(_differing(a, b)) == 1]
    assert sorted(minimal) == [("rise", "sink"), ("say", "taste")]


def test_signs_are_composed_of_defined_parts() -> None:
    handshapes = pytest.importorskip("renderer.handshapes").HANDSHAPES
    assert [s.label for s in SIGNS] == list(range(8))
    for sign in SIGNS:
        assert set(sign.handshapes) <= set(handshapes)
        assert sign.orientation in ORIENTATIONS
        assert sign.place in PLACES
        assert sign.mouth in MOUTHS
    assert {s.helper for s in SIGNS} == {"rest", "mirror", "base"}


def test_signers_are_split_by_signer() -> None:
    assert [s.number for s in SIGNERS] == list(range(8))
    by_split = {split: [s for s in SIGNERS if s.split == split] for split in SPLITS}
    assert [len(by_split[s]) for s in SPLITS] == [5, 1, 2]
    assert any(s.left_handed for s in SIGNERS)
    for part in ("shape", "look", "view", "room"):
        assert len({getattr(s, part) for s in SIGNERS}) == 8, part


def test_clips_are_balanced_and_names_are_unique() -> None:
    pytest.importorskip("anny")
    from renderer.clips import all_clips

    clips = all_clips()
    assert len({c.sample for c in clips}) == len(clips) == 128
    for signer in SIGNERS:
        labels = [c.sign.label for c in clips if c.signer == signer]
        assert sorted(labels) == sorted(list(range(8)) * 2)


def _rows(split: str) -> list[list[str]]:
    with (DEMO / f"{split}_labels.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_committed_tables_list_all_clips() -> None:
    from renderer.clips import all_clips

    for split in SPLITS:
        expected = [[c.sample, str(c.sign.label)] for c in all_clips() if c.split == split]
        assert _rows(split) == expected
        assert b"\r" not in (DEMO / f"{split}_labels.csv").read_bytes()
    with (DEMO / "SignList_ClassId_TR_EN.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.reader(file))
    assert table[0] == ["ClassId", "TR", "EN"]
    assert table[1:] == [[str(s.label), s.turkish, s.gloss] for s in SIGNS]


@pytest.mark.parametrize("split", SPLITS)
def test_committed_videos_have_the_size_and_frames_of_the_truth(split: str) -> None:
    with h5py.File(DEMO / "truth" / f"{split}.h5", "r") as truth:
        assert sorted(truth) == sorted(row[0] for row in _rows(split))
        for sample, label in _rows(split):
            frames = len(truth[sample]["keypoints"])
            assert 20 <= frames <= 30
            assert truth[sample].attrs["label"] == int(label)
            for kind in ("color", "depth"):
                with av.open(str(DEMO / split / f"{sample}_{kind}.mp4")) as video:
                    stream = video.streams.video[0]
                    assert (stream.width, stream.height) == (512, 512)
                    assert stream.average_rate == 25
                    assert stream.codec_context.name == "h264"
                    assert sum(1 for _ in video.demux(stream) if _.size) == frames


def test_stored_depth_and_flow_agree_with_the_keypoints() -> None:
    with h5py.File(DEMO / "truth" / "frames.h5", "r") as dense:
        assert len(dense) == 3
        for sample, group in dense.items():
            split = next(s for s in SPLITS if any(r[0] == sample for r in _rows(s)))
            with h5py.File(DEMO / "truth" / f"{split}.h5", "r") as truth:
                keypoints = truth[sample]["keypoints"][:]
            t = int(group.attrs["frame"])
            flow, valid = group["flow"][:] / 100, group["valid"][:]
            face = keypoints[t - 1, 23:91]
            x, y = np.rint(face[:, :2]).astype(int).T
            tracked = (face[:, 2] > 0) & valid[y, x]
            assert tracked.sum() > 30, sample
            moved = (keypoints[t, 23:91, :2] - face[:, :2])[tracked]
            error = np.linalg.norm(flow[y, x][tracked] - moved, axis=1)
            assert np.median(error) < 0.2, sample
            assert (group["depth"][0][y, x][tracked] > 0).mean() > 0.95


def test_demo_stays_small() -> None:
    total = sum(f.stat().st_size for f in DEMO.rglob("*") if f.is_file())
    assert total < 15e6


@pytest.mark.parametrize("split", SPLITS)
def test_hands_stay_in_the_picture_and_left_is_the_signers_left(split: str) -> None:
    with h5py.File(DEMO / "truth" / f"{split}.h5", "r") as truth:
        for sample in truth:
            keypoints = truth[sample]["keypoints"][:]
            upper = np.concatenate([keypoints[:, :11], keypoints[:, 23:]], axis=1)
            assert upper[..., :2].min() > 0, sample
            assert upper[..., :2].max() < 511, sample
            assert np.isin(keypoints[..., 2], (0, 1)).all()
            # the signer faces the camera: the left shoulder is on the right of the picture
            assert (keypoints[:, 5, 0] > keypoints[:, 6, 0]).all()
            assert (keypoints[:, 45 + 23, 0] > keypoints[:, 36 + 23, 0]).all()  # eyes
            # the roots of the hands are at their wrists
            for wrist, root in ((9, 91), (10, 112)):
                gap = np.linalg.norm(keypoints[:, wrist, :2] - keypoints[:, root, :2], axis=1)
                assert gap.max() < 25, sample
