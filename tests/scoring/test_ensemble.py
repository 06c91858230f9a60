"""Late fusion: known answers, properties, and the published SL-GCN logits."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from slr_pipeline.errors import DataError
from slr_pipeline.io.foreign.logits import read_foreign_logits
from slr_pipeline.io.submission import read_predictions
from slr_pipeline.scoring.ensemble import (
    Calibration,
    Joined,
    LeftOut,
    calibrated,
    class_prior,
    drop_one_stream,
    fit_calibration,
    fuse,
    join,
    leave_one_signer_out,
)
from slr_pipeline.scoring.logits import Logits
from tests.shared_data import NEEDS_AUTSL, SHARED

PRIOR = np.array([0.5, 0.25, 0.25])
JOINT = Logits(
    samples=("a", "b", "c"),
    values=np.array([[4, 0, 0], [0, 1, 0], [0, 0, 0]], np.float32),
    answered=np.array([True, True, False]),
    classes=("x", "y", "z"),
    protocol="strict",
)
BONE = replace(
    JOINT,
    samples=("c", "b", "a"),
    values=np.array([[0, 0, 0], [0, 0, 0], [0, 8, 0]], np.float32),
    answered=np.array([False, False, True]),
)
SLGCN_A = {"joint": 1.0, "bone": 0.9, "joint_motion": 0.5, "bone_motion": 0.5}
SLGCN_B = {
    "joint_finetuned": 1.2,
    "bone_finetuned": 1.2,
    "joint_motion_finetuned": 0.5,
    "bone_motion_finetuned": 0.5,
}
SIGNERS = [f"signer{n % 4}" for n in range(240)]


def shares(joined: Joined, found: LeftOut) -> tuple[float, float]:
    """Accuracy with one fit to all samples, and of signers that were left out."""
    fitted = fit_calibration(joined, found.labels.tolist())
    K = joined.values.shape[2]
    scores = fuse(calibrated(joined, fitted), fitted.weights, np.full(K, 1 / K)).scores
    return (
        float((scores.argmax(axis=1) == found.labels).mean()),
        float((found.picked == found.labels).mean()),
    )


def stream(values: NDArray[np.floating], names: list[str] | None = None) -> Logits:
    """Logits of a stream that answered all samples; `names` or numbers."""
    N, K = values.shape
    return Logits(
        samples=tuple(names or map(str, range(N))),
        values=values.astype(np.float32),
        answered=np.ones(N, bool),
        classes=tuple(f"sign{k}" for k in range(K)),
        protocol="strict",
    )


def three_streams(seed: int, N: int = 240, K: int = 6) -> tuple[dict[str, Logits], list[int]]:
    """A good stream, a worse one of three times its scale, and noise; with the labels."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, K, N)
    true = np.eye(K)[labels]
    values = {
        "good": 4 * true + generator.normal(0, 1.5, (N, K)),
        "worse": 3 * (3 * true + generator.normal(0, 2, (N, K))),
        "noise": generator.normal(0, 5, (N, K)),
    }
    return {name: stream(array) for name, array in values.items()}, labels.tolist()


class TestFuse:
    def test_weighted_mean_joined_by_name(self) -> None:
        fused = fuse(
            join({"joint": JOINT, "bone": BONE}, "cab"), {"joint": 3.0, "bone": 1.0}, PRIOR
        )
        np.testing.assert_allclose(fused.scores[1], [3.0, 2.0, 0.0])  # a: (3*4, 1*8, 0) / 4
        np.testing.assert_allclose(fused.scores[2], [0.0, 1.0, 0.0])  # b: the joint stream alone
        np.testing.assert_allclose(fused.scores[0], np.log(PRIOR))  # c: no answer
        assert fused.answers.tolist() == [0, 2, 1]

    @given(st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=6), st.integers(0, 99))
    def test_equal_logits_stay_the_same(self, weights: list[float], seed: int) -> None:
        logits = stream(np.random.default_rng(seed).normal(0, 5, (4, 3)))
        names = [f"stream{m}" for m in range(len(weights))]
        fused = fuse(
            join(dict.fromkeys(names, logits), logits.samples),
            dict(zip(names, weights, strict=True)),
            PRIOR,
        )
        np.testing.assert_allclose(fused.scores, logits.values, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize(
        ("changes", "line"),
        [
            ({"samples": tuple("cbd")}, r"1 missing \['a'\], 1 extra \['d'\], 0 repeated"),
            ({"samples": tuple("cbb")}, r"1 missing \['a'\], 0 extra \[\], 1 repeated \['b'\]"),
            ({"classes": tuple("xzy")}, r"are not the 3 of stream joint; 2 unequal \['z for y', "),
            ({"protocol": "challenge"}, "has protocol challenge, stream joint has strict"),
        ],
    )
    def test_streams_that_do_not_match(self, changes: dict[str, Any], line: str) -> None:
        with pytest.raises(DataError, match=f"^stream bone.*{line}"):
            join({"joint": JOINT, "bone": replace(BONE, **changes)}, "abc")

    def test_another_table(self) -> None:
        with pytest.raises(DataError, match="their 3 classes are not the 2 of the table"):
            fuse(join({"joint": JOINT}, "abc"), {"joint": 1.0}, PRIOR[:2])


class TestCalibrated:
    def test_by_hand(self) -> None:
        calibration = Calibration({"joint": 2.0, "bone": 4.0}, {"joint": 0.75, "bone": 0.25})
        fused = fuse(
            calibrated(join({"joint": JOINT, "bone": BONE}, "abc"), calibration),
            calibration.weights,
            PRIOR,
        )
        expected = 0.75 * log_softmax([2.0, 0, 0]) + 0.25 * log_softmax([0, 2.0, 0])
        np.testing.assert_allclose(fused.scores[0], expected)
        np.testing.assert_allclose(fused.scores[1], log_softmax([0, 0.5, 0]))
        np.testing.assert_allclose(fused.scores[2], np.log(PRIOR))

    def test_hardly_depends_on_the_scale_of_a_stream(self) -> None:
        """240 samples outweigh the prior of the temperature."""
        logits, labels = three_streams(seed=1)
        names, prior = logits["good"].samples, np.full(6, 1 / 6)
        scaled = logits | {"good": replace(logits["good"], values=logits["good"].values * 64)}
        plain = fit_calibration(join(logits, names), labels)
        other = fit_calibration(join(scaled, names), labels)
        scale = other.temperatures["good"] / plain.temperatures["good"]
        assert scale == pytest.approx(64, rel=0.05)
        assert other.weights == pytest.approx(plain.weights, abs=0.02)
        np.testing.assert_allclose(
            softmax(fuse(calibrated(join(scaled, names), other), other.weights, prior).scores, 1),
            softmax(fuse(calibrated(join(logits, names), plain), plain.weights, prior).scores, 1),
            atol=0.03,
        )

    def test_is_better_than_equal_weights_of_raw_logits(self) -> None:
        val, labels = three_streams(seed=1)
        test, truth = three_streams(seed=2)
        names, prior = val["good"].samples, np.full(6, 1 / 6)
        calibration = fit_calibration(join(val, names), labels)
        assert sum(calibration.weights.values()) == pytest.approx(1)
        assert calibration.weights["good"] > calibration.weights["worse"] > 0.05
        assert calibration.weights["noise"] < 0.05
        ours = fuse(calibrated(join(test, names), calibration), calibration.weights, prior)
        raw = fuse(join(test, names), dict.fromkeys(test, 1.0), prior)
        right = [(fused.scores.argmax(axis=1) == truth).mean() for fused in (ours, raw)]
        assert right[0] > right[1] + 0.1

    def test_samples_without_a_label_do_not_count(self) -> None:
        logits, labels = three_streams(seed=3)
        names = logits["good"].samples
        some = [label if n < 200 else None for n, label in enumerate(labels)]
        short = {
            name: replace(x, samples=names[:200], values=x.values[:200], answered=x.answered[:200])
            for name, x in logits.items()
        }
        found = fit_calibration(join(logits, names), some)
        assert found == fit_calibration(join(short, names[:200]), labels[:200])
        with pytest.raises(DataError, match="none of the 240 samples has a label"):
            fit_calibration(join(logits, names), [None] * 240)

    def test_a_stream_without_labelled_samples(self) -> None:
        with pytest.raises(
            DataError, match="stream bone: it answered none of the 2 labelled samples"
        ):
            fit_calibration(join({"joint": JOINT, "bone": BONE}, "abc"), [None, 1, 2])

    @given(st.integers(1, 12), st.integers(1, 4), st.integers(0, 999))
    @settings(max_examples=40, deadline=None)
    def test_any_val_however_small_gives_finite_scores(self, N: int, M: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        logits = {
            f"stream{m}": stream(10 ** generator.uniform(-3, 3) * generator.normal(0, 1, (N, 3)))
            for m in range(M)
        }
        names = logits["stream0"].samples
        found = fit_calibration(join(logits, names), generator.integers(0, 3, N).tolist())
        assert all(0 < weight <= 1 for weight in found.weights.values())
        assert np.isfinite(
            fuse(calibrated(join(logits, names), found), found.weights, PRIOR).scores
        ).all()


class TestDropOneStream:
    def test_by_hand(self) -> None:
        rgb = stream(np.array([[9.0, 0, 0], [0, 9, 0], [0, 9, 0]]), ["a", "b", "c"])
        rgb = replace(rgb, classes=JOINT.classes)
        joined = join({"joint": JOINT, "rgb": rgb}, "abc")
        shares = drop_one_stream(joined, {"joint": 1.0, "rgb": 1.0}, PRIOR, [0, 1, 1])
        # Without rgb, no stream answers c, and the prior gives class 0.
        assert shares == pytest.approx({"joint": 1, "rgb": 2 / 3})
        shares = drop_one_stream(joined, {"joint": 1.0, "rgb": 1.0}, PRIOR, [0, 1, None])
        assert shares == {"joint": 1, "rgb": 1}

    def test_one_stream_cannot_be_dropped(self) -> None:
        joined = join({"joint": JOINT}, "abc")
        assert drop_one_stream(joined, {"joint": 1.0}, PRIOR, [0, 1, 1]) == {}


class TestLeaveOneSignerOut:
    def test_each_signer_is_scored_with_a_fit_to_the_others(self) -> None:
        logits, labels = three_streams(seed=5)
        names = logits["good"].samples
        joined = join(logits, names)
        found = leave_one_signer_out(joined, labels, SIGNERS)
        assert found is not None
        assert sorted(found.weights) == ["signer0", "signer1", "signer2", "signer3"]
        rows = np.array([signer != "signer0" for signer in SIGNERS])
        others = {
            name: stream(x.values[rows], np.array(names)[rows].tolist())
            for name, x in logits.items()
        }
        first = fit_calibration(
            join(others, others["good"].samples), np.array(labels)[rows].tolist()
        )
        assert found.weights["signer0"] == pytest.approx(first.weights)
        assert found.labels.tolist() == labels
        in_sample, held_out = shares(joined, found)
        assert in_sample == pytest.approx(held_out, abs=0.03)

    def test_a_stream_that_overfits_signers_scores_lower_when_held_out(self) -> None:
        generator = np.random.default_rng(6)
        logits, labels = three_streams(seed=6)
        # Right for three signers, confidently wrong for the fourth.
        known = np.array(labels) + np.array([signer == "signer3" for signer in SIGNERS])
        memory = 9 * np.eye(6)[known % 6] + generator.normal(0, 0.1, (240, 6))
        logits["good"] = stream(memory)
        joined = join(logits, logits["worse"].samples)
        found = leave_one_signer_out(joined, labels, SIGNERS)
        assert found is not None
        in_sample, held_out = shares(joined, found)
        assert held_out < in_sample
        assert found.weights["signer3"]["good"] > found.weights["signer0"]["good"]

    def test_samples_without_label_or_answer_do_not_count(self) -> None:
        logits, labels = three_streams(seed=7)
        answered = np.arange(240) > 9
        logits = {name: replace(x, answered=answered) for name, x in logits.items()}
        some = [None if n > 229 else label for n, label in enumerate(labels)]
        signers = [None if not 9 < n < 230 else name for n, name in enumerate(SIGNERS)]
        found = leave_one_signer_out(join(logits, logits["good"].samples), some, signers)
        assert found is not None
        assert found.rows.tolist() == list(range(10, 230))

    @pytest.mark.parametrize("signers", [["a"] * 240, [*SIGNERS[1:], None]])
    def test_one_signer_or_unknown_ones_give_no_estimate(self, signers: list[str | None]) -> None:
        logits, labels = three_streams(seed=8)
        joined = join(logits, logits["good"].samples)
        assert leave_one_signer_out(joined, labels, signers) is None


def test_class_prior_counts_labels_and_is_never_zero() -> None:
    np.testing.assert_allclose(class_prior([0, 0, 2], 3), [3 / 6, 1 / 6, 2 / 6])


@NEEDS_AUTSL
def test_published_skeleton_fusion() -> None:
    truth = dict(read_predictions(SHARED / "autsl" / "test_labels.csv", 226))
    names, labels, prior = list(truth), np.array(list(truth.values())), np.full(226, 1 / 226)
    logits = {name: published(name) for name in [*SLGCN_A, *SLGCN_B]}
    four = {name: logits[name] for name in SLGCN_A}
    a = fuse(join(four, names), SLGCN_A, prior).scores
    assert round(100 * (a.argmax(axis=1) == labels).mean(), 2) == 96.47
    # The published script fuses the result `a` as one more stream of weight 1.5.
    weights = {**SLGCN_B, **{name: 1.5 * weight / 2.9 for name, weight in SLGCN_A.items()}}
    b = fuse(join(logits, names), weights, prior).scores
    assert round(100 * (b.argmax(axis=1) == labels).mean(), 2) == 96.90
    final = join({"final": published("final")}, names).values[0]
    np.testing.assert_allclose(b, final, rtol=0, atol=1e-5)


def published(name: str) -> Logits:
    found = read_foreign_logits(SHARED / "autsl" / "samslr_gcn" / f"{name}.pkl")
    return stream(found.values, list(found.samples))
