"""Progress of long steps: a bar on a terminal, a line every half minute in a log."""

import logging
import sys
from contextlib import suppress

import pytest

from slr_pipeline.io.progress import duration, progress
from tests.terminal import terminal


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_log_has_at_most_a_line_every_half_minute(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 100.0
    with progress(10, frames=1000, clock=lambda: now) as done:
        for _ in range(10):
            now += 12
            done(1, 100)
    assert messages(caplog) == [
        "sample 3 of 10, 8.3 frames/s, 84 s left",
        "sample 6 of 10, 8.3 frames/s, 48 s left",
        "sample 9 of 10, 8.3 frames/s, 12 s left",
        "sample 10 of 10, 8.3 frames/s, took 2 min",
    ]


def test_items_are_counted_if_frames_are_unknown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = 0.0
    with progress(400, "clip", clock=lambda: now) as done:
        for _ in range(2):
            now += 50
            done(200, 0)
    assert messages(caplog) == [
        "clip 200 of 400, 4.0 clips/s, 50 s left",
        "clip 400 of 400, 4.0 clips/s, took 2 min",
    ]


def test_failed_items_are_not_reported_as_done(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with suppress(ValueError), progress(2) as done:
        done(1, 5)
        raise ValueError
    assert messages(caplog) == []


def test_nothing_is_shown_below_the_log_level(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    with terminal(monkeypatch) as shown, progress(1) as done:
        done(1, 0)
    assert shown() == ""
    assert messages(caplog) == []


def test_a_terminal_has_a_bar_and_the_log_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as shown:
        handler = logging.StreamHandler(sys.stderr)
        root = logging.getLogger()
        monkeypatch.setattr(root, "handlers", [handler])
        monkeypatch.setattr(root, "level", logging.INFO)
        with progress(3, frames=30) as done:
            done(1, 10)
            root.info("quarantined b")
            done(1, 0)
            done(1, 20)
        assert handler.stream is sys.stderr
    text = shown()
    for part in ("sample 0 of 3", "sample 3 of 3", "30/30", "frames/s, left", "took "):
        assert part in text
    # The bar is cleared before the line is written.
    assert "\x1b[2Kquarantined b\r\n" in text


def test_durations() -> None:
    actual = [duration(seconds) for seconds in (0.2, 89, 90, 5000, 7200, 300_000)]
    assert actual == ["0 s", "89 s", "2 min", "83 min", "2.0 h", "3.5 d"]
