"""The page of a run whose results are made by real steps."""

import base64
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.benchmarks import RuleCost, read_costs
from slr_pipeline.io.documents import read_metrics, read_run_config, write_document
from slr_pipeline.io.duplicates import write_duplicates
from slr_pipeline.report.finished_run import read_run
from slr_pipeline.report.page import versions
from slr_pipeline.samples.duplicates import Twins, duplicates_of
from slr_pipeline.samples.table import load_samples
from tests.report.small_run import FACELESS, GONE, SIGNERS, SIGNS, make_results, rendered

SECTIONS = (
    *("data", "duplicates", "quarantine", "features", "training", "accuracy", "confusion"),
    *("groups", "calibration", "rejection", "ensemble", "answers", "provenance"),
)


class Page(HTMLParser):
    """Elements with their attributes, text by section, and table rows by caption."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self._section, self._rows, self._in = "head", [[""]], ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))
        self._in = tag
        if tag == "section":
            self._section = dict(attributes)["id"] or ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_data(self, data: str) -> None:
        self.text[self._section] = self.text.get(self._section, "") + data
        if self._in == "caption" and data.strip():
            self._rows = []
            self.tables[data] = self._rows
        elif self._in in ("td", "th") and self._rows and self._rows[-1]:
            self._rows[-1][-1] += data.rstrip("\n")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_results(tmp_path_factory.mktemp("a run") / "of clips")


@pytest.fixture(scope="module")
def text(results: Path) -> str:
    return rendered(results)[1]


def figures(text: str) -> list[str]:
    found = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", text)
    return [base64.b64decode(content).decode() for content in found]


def test_the_first_words_give_data_accuracy_and_problems(results: Path, text: str) -> None:
    head = Page(text).text["head"]
    metrics = read_metrics(results.parent / "tracks/rgb/metrics.json")["test"]
    low, high = 100 * metrics["top1_low"], 100 * metrics["top1_high"]
    for sentence in (
        "2 streams learned 10 signs from 10 clips, tuned on 20 of val, and answered 20 clips",
        f"Track rgb recognised {metrics['correct']} of 20 clips of test by 2 signers",
        f"(95 % interval {low:.1f} % to {high:.1f} %; chance 10.0 %)",
        "2 clips of 50 were unusable and excluded from training",
        f"Track rgb mistook “{SIGNS[0]}” for “{SIGNS[1]}” most often (2 of 2)",
        "1 clip of test lacks the answer of at least one stream",
    ):
        assert sentence in head
    assert "new signers" not in head  # every signer is known and in one split
    assert read_metrics(results.parent / "tracks/rgb/metrics.json")["warnings"] == []


@pytest.mark.parametrize(
    ("signers", "sentence"),
    [
        ({}, "the signers of all samples are unknown"),
        ({"val": ["t1", "v2"]}, "1 of 2 signers of test are also in train or val"),
        ({"val": ["T1", "v2"]}, "1 of 2 signers of test are also in train or val"),
        ({"val": ["", "v2"]}, "the signers of 10 of 50 samples are unknown"),
    ],
)
def test_page_and_metrics_warn_first_if_signers_are_unknown_or_shared(
    tmp_path: Path, signers: dict[str, list[str]], sentence: str
) -> None:
    config = make_results(tmp_path, signers={**SIGNERS, **signers} if signers else {})
    warning = f"The accuracy says nothing about new signers: {sentence}."
    first = rendered(config)[1].partition("</h1>")[2].lstrip()
    assert first.startswith(f'<p class="warning">{warning}</p>')
    for model in ("tracks/rgb", "streams/joint/train"):
        assert read_metrics(config.parent / model / "metrics.json")["warnings"] == [warning]


def test_the_page_warns_first_of_copies_in_two_splits_and_shows_them(tmp_path: Path) -> None:
    config = make_results(tmp_path)
    table = load_samples(read_run_config(config.parent).data)
    twins = [Twins("train_0", "test_t1_3", "near", 0.1), Twins("train_5", "train_6", "equal", 0.0)]
    write_duplicates(config.parent / "duplicates.csv", duplicates_of(table, twins))
    page = rendered(config)[1]
    head = page.partition("</h1>")[2].lstrip()
    assert head.startswith('<p class="warning">The accuracy is too high: 1 video is in several')
    assert "first train_0 (train), test_t1_3 (test); set data.duplicates: exclude." in head
    section = page.partition('<section id="duplicates">')[2].partition("</section>")[0]
    assert "<b>train_0 (train)</b> and <b>test_t1_3 (test)</b>: near" in section
    assert "<b>train_5 (train)</b> and <b>train_6 (train)</b>: equal" in section
    assert section.count("<img") == 4


def test_the_first_words_name_signers_that_look_alike(tmp_path: Path) -> None:
    config = make_results(tmp_path, signers={**SIGNERS, "val": ["v1", "V1"]})
    head = Page(rendered(config)[1]).text["head"]
    assert "Signers 'V1' and 'v1' look alike and count as one person; use one spelling" in head


def test_tables_match_the_files_of_the_run(results: Path, text: str) -> None:
    page = Page(text)
    assert [a["id"] for tag, a in page.elements if tag == "section"] == list(SECTIONS)
    tables = page.tables
    splits = "train|10|10|10|1|1|23|23 to 23|512 x 512|25"
    assert tables["Splits"][1] == splits.split("|")
    quality = tables["Keypoint quality, in shares of the frames"]
    assert quality[1] == ["train", "90.0 %", "-", "-", "25.0 %", "-"]
    assert "No depth features" in page.text["features"]
    assert [row[:3] for row in tables["Excluded clips"][1:]] == [
        [FACELESS, "train", "keypoints"],
        [GONE, "test", "videos"],
    ]
    assert tables["Clips of each signer"][1] == [SIGNERS["train"][0], "10", "0", "0"]
    metrics = read_metrics(results.parent / "tracks/rgb/metrics.json")
    accuracy = {tuple(row[:3]): row for row in tables["Accuracy"][1:]}
    assert len(accuracy) == 6
    assert accuracy["rgb", "track", "test"][3:5] == ["20", str(metrics["test"]["correct"])]
    assert accuracy["joint", "stream", "test"][3] == "19"
    worst = tables["Accuracy by sign on test, worst first"][1]
    assert worst == [SIGNS[0], "2", "0.0 % (0 of 2)"]
    weights = {row[0]: row for row in tables["Streams of track rgb"][1:]}
    assert weights["bone"][1] == f"{metrics['weights']['bone']:.3f}"
    assert weights["bone"][3] == f"{100 * metrics['top1_without']['test']['bone']:.1f} %"
    answers = tables["Clips by number of streams that answered"][1:]
    assert ["rgb", "test", "2", "0", "1", "most frequent sign of train"] in answers
    clips = tables["Answers of track rgb to the clips of test"][1:]
    assert {row[0] for row in clips} == {f"test_{s}_{n}" for s in ("t1", "t2") for n in range(10)}
    verdicts = [row[4] for row in clips]
    assert verdicts == sorted(verdicts, reverse=True)
    assert verdicts.count("right") == metrics["test"]["correct"]
    (gone,) = (row for row in clips if row[0] == GONE)
    assert gone[1:5] == ["t1", SIGNS[9], SIGNS[0], "wrong"]
    assert gone[7] == "class prior"
    assert {row[7] for row in clips} == {"all streams", "class prior"}
    assert tables["Time and memory of each rule (h:min:s)"][1] == [
        *("train", "2", "1:01:01", "2:00:00", "500 MB"),
    ]


def test_a_huge_first_loss_does_not_hide_the_others(text: str) -> None:
    """The first loss on val is 250, the others are 0.7 to 2.3."""
    (joint,) = (svg for svg in figures(text) if ">joint<" in svg and ">loss<" in svg)
    assert "cut off: up to 250" in joint
    ticks = [float(text) for text in re.findall(r">(\d+(?:\.\d+)?)</text>", joint)]
    assert max(ticks) < 10


def test_a_stream_with_seeds_shows_each(results: Path, text: str) -> None:
    page = Page(text)
    column = page.tables["Accuracy"][0].index("accuracy of each seed")
    shown = {tuple(row[:3]): row[column] for row in page.tables["Accuracy"][1:]}
    bone = read_metrics(results.parent / "streams/bone/train/metrics.json")["test"]
    each = [f"{100 * seed['top1']:.1f}" for seed in bone["seeds"]]
    assert shown["bone", "stream", "test"] == f"{each[0]}, {each[1]} %"
    assert shown["joint", "stream", "test"] == shown["rgb", "track", "test"] == "-"
    hashes = [row[0] for row in page.tables["Hashes"]]
    assert {"model of joint", "model of bone", "model of bone, seed 2"} <= set(hashes)
    (alt,) = (a["alt"] for tag, a in page.elements if tag == "img" and "of 2 seeds" in str(a))
    assert alt == "Accuracy and loss of stream bone on train and val, by epoch, of 2 seeds"


def test_the_page_is_self_contained_and_images_have_alternative_text(text: str) -> None:
    elements = Page(text).elements
    places = [a[key] for _, a in elements for key in ("src", "href") if a.get(key)]
    assert {str(place).partition(":")[0] for place in places if place[0] != "#"} == {"data"}
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text + "".join(figures(text))) == []
    pictures = [attributes for tag, attributes in elements if tag == "img"]
    assert len(pictures) > 10
    assert all(picture["alt"] and picture["width"] for picture in pictures)
    heads = [attributes for tag, attributes in elements if tag == "th"]
    assert {head["scope"] for head in heads} == {"col", "row"}
    assert len(text) < 5e6


def test_names_are_escaped(text: str) -> None:
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<b>&#34;" not in text
    assert "O'Neil \"<b>" not in text
    assert sum(tag == "script" for tag, _ in Page(text).elements) == 1
    assert all("<script" not in figure for figure in figures(text))


def test_figures_follow_the_colour_scheme(text: str) -> None:
    found = figures(text)
    assert len(found) >= 8
    for figure in found:
        assert "prefers-color-scheme: dark" in figure
        assert "#010203" not in figure
        assert "mathdefault" not in figure
        assert "dc:date" not in figure


def test_the_same_results_give_the_same_page(results: Path, text: str) -> None:
    assert rendered(results)[1] == text


def test_missing_parts_are_explained(tmp_path: Path) -> None:
    given = {"rgb": {"fusion": "published", "streams": {"a": 1.0}}}
    test = f"{tmp_path}/results/streams/a/train/logits/test.h5"
    streams = {"a": {"model": "imported", "reads": ["keypoints"], "test": test}}
    config = make_results(tmp_path, signers={}, labels=False, streams=streams, tracks=given)
    shutil.rmtree(config.parent / "benchmarks")
    page = Page(rendered(config)[1])
    for section, line in {
        "head": "1 stream of imported logits: 10 signs, 20 clips of test.",
        "data": "The sample table has no signers.",
        "quarantine": "no video was read",
        "features": "no video was read",
        "training": "Stream a (imported) was not trained in this run, so it has no training hi",
        "accuracy": "Val and test have no labels",
        "confusion": "Val and test have no labels",
        "groups": "Test has no labels",
        "calibration": "Val and test have no labels",
        "rejection": "Track rgb accepts every answer: 20 labelled and answered clips of val",
        "provenance": "No benchmark files",
    }.items():
        assert line in page.text[section], section
    assert "accuracy unknown, because val and test have no labels" in page.text["head"]


def test_a_track_is_compared_with_its_baseline(tmp_path: Path) -> None:
    baseline = tmp_path / "theirs.csv"
    names = [f"test_{signer}_{n}" for signer in SIGNERS["test"] for n in range(len(SIGNS))]
    baseline.write_text("".join(f"{name},0\n" for name in names))
    track = {"streams": {"joint": None, "bone": None}, "baseline": str(baseline)}
    page = Page(rendered(make_results(tmp_path / "run", tracks={"rgb": track}))[1])
    row = page.tables["Comparison with a baseline on test (McNemar's exact test)"][1]
    assert row[:3] == ["rgb", "theirs.csv", "10.0 %"]


def test_unsure_answers_are_counted_and_listed(tmp_path: Path, text: str) -> None:
    """Two of the 20 clips of val are answered wrongly, too many for the usual 5 %."""
    reason = "at no confidence are at most 5 % errors to be expected on val"
    assert f"Track rgb accepts every answer: {reason}." in Page(text).text["rejection"]
    assert "It is unsure" not in Page(text).text["head"]
    track = {"streams": {"joint": None, "bone": None}, "accept_error": 0.2}
    config = make_results(tmp_path / "run", tracks={"rgb": track})
    found = read_metrics(config.parent / "tracks/rgb/metrics.json")["rejection"]
    page_text = rendered(config)[1]
    page = Page(page_text)
    threshold, test = found["threshold"], found["test"]
    sentence = f"accepts answers of a probability of at least {100 * threshold:.1f} %"
    assert sentence in page.text["rejection"]
    unsure = test["samples"] - test["accepted"]
    assert f"It is unsure of {unsure} of them; {test['errors']} of the" in page.text["head"]
    rows = page.tables["Accepted answers"][1:]
    assert [row[:2] for row in rows] == [["rgb", "test"], ["rgb", "val"]]
    assert rows[0][3] == f"{100 * test['coverage']:.1f} % ({test['accepted']} of 20)"
    heads, *clips = page.tables["Answers of track rgb to the clips of test"]
    listed = [row[heads.index("accepted")] for row in clips]
    assert listed.count("unsure") == unsure >= 1  # the clip that no stream answered
    assert listed.count("yes") == test["accepted"] >= 5
    assert any("area under the curve" in svg and ">track rgb<" in svg for svg in figures(page_text))


def test_the_worst_stream_is_shown_if_no_track_errs(tmp_path: Path) -> None:
    config = make_results(tmp_path / "run")
    path = config.parent / "tracks/rgb/metrics.json"
    metrics = read_metrics(path)
    for split in ("val", "test"):
        metrics[split]["most_confused"] = []
    write_document(path, metrics)
    right = {
        name: read_metrics(config.parent / f"streams/{name}/train/metrics.json")["test"]["top1"]
        for name in ("joint", "bone")
    }
    worst = min(right, key=lambda name: right[name])
    page = Page(rendered(config)[1])
    assert (
        f"No track made an error; the worst single stream, {worst}, mistook “" in page.text["head"]
    )
    assert f"The images show errors of {worst}, with clips of train." in page.text["confusion"]
    rows = page.tables["Most frequent confusions"][1:]
    assert {(row[2], row[3]) for row in rows} == {("joint", "stream"), ("bone", "stream")}
    assert any(attributes.get("class") == "pair" for _, attributes in page.elements)


def test_a_missing_video_costs_only_its_images(results: Path, tmp_path: Path) -> None:
    config = make_results(tmp_path / "run")
    (tmp_path / "run" / "clip.mp4").unlink()
    page = Page(rendered(config)[1])
    assert "No images: " in page.text["features"]
    assert "there is no such file" in page.text["confusion"]
    assert page.tables["Most frequent confusions"]


@pytest.mark.parametrize(
    ("file", "content", "line"),
    [
        ("tracks/rgb/metrics.json", None, "metrics.json: no metrics"),
        (
            "tracks/rgb/metrics.json",
            '{"test": {}, "protocol": "strict"}',
            "metrics of another version",
        ),
        ("streams/bone/train/metrics.json", "[]", "no metrics"),
        ("streams/bone/train/history.csv", "epoch,train_loss\n1", "last line is incomplete"),
        ("quality/val.csv", None, "val.csv: cannot be read as a table"),
    ],
)
def test_a_damaged_result_is_named(
    tmp_path: Path, file: str, content: str | None, line: str
) -> None:
    config = make_results(tmp_path)
    path = config.parent / file
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ArtifactError, match=line) as raised:
        read_run(str(config))
    assert len(str(raised.value).splitlines()) == 1


def test_versions_are_of_installed_packages() -> None:
    assert versions(["no-such-package", "pytest"]) == {"pytest": pytest.__version__}


def test_costs_are_summed_by_rule(tmp_path: Path) -> None:
    head = "s\th:m:s\tmax_rss\tcpu_time\n"
    for name, row in {"flow/train/01": "2\t-\t30\t4", "flow/val/all": "3\t-\tNA\t-"}.items():
        (tmp_path / f"{name}.tsv").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.tsv").write_text(f"{head}{row}\n")
    (tmp_path / "quarantine.tsv").write_text(head)
    assert read_costs(tmp_path) == [RuleCost("flow", 2, 5.0, 4.0, 30.0)]
    assert read_costs(tmp_path / "none") == []
