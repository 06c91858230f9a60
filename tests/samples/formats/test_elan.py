"""ELAN's annotations become segments, and a run becomes tiers that ELAN reads."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from slr_pipeline.cli.main import main
from slr_pipeline.config.experiment import check_config, read_config
from slr_pipeline.io.predictions import write_answers
from slr_pipeline.io.verified import Verified, write_verified
from slr_pipeline.samples.segments import Segment
from slr_pipeline.samples.table import SampleTable, load_samples
from slr_pipeline.steps.config import config as write_config

pytest.importorskip("pympi", reason="the extra `formats` is not installed")

Annotation = tuple[int | None, int | None, str]

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<ANNOTATION_DOCUMENT AUTHOR="" DATE="2024-02-05T10:00:00+01:00" FORMAT="3.0" VERSION="3.0" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">\n'
)


def eaf(path: Path, tiers: dict[str, list[Annotation]], media: str, extra: str = "") -> None:
    """As ELAN 6 writes it; a tier is `name@participant`."""
    slots, body, number = [], "", 0
    for name, annotations in tiers.items():
        tier, _, participant = name.partition("@")
        body += (
            f'<TIER LINGUISTIC_TYPE_REF="default-lt" PARTICIPANT="{participant}" TIER_ID="{tier}">'
        )
        for start, end, text in annotations:
            number += 1
            for time, place in ((start, 2 * number - 1), (end, 2 * number)):
                value = "" if time is None else f' TIME_VALUE="{time}"'
                slots.append(f'<TIME_SLOT TIME_SLOT_ID="ts{place}"{value}/>')
            body += (
                f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{number}" '
                f'TIME_SLOT_REF1="ts{2 * number - 1}" TIME_SLOT_REF2="ts{2 * number}">'
                f"<ANNOTATION_VALUE>{text}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
            )
        body += "</TIER>"
    path.write_text(
        f'{HEAD}<HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">{media}</HEADER>'
        f"<TIME_ORDER>{''.join(slots)}</TIME_ORDER>{body}{extra}"
        '<LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="default-lt" '
        'TIME_ALIGNABLE="true"/></ANNOTATION_DOCUMENT>\n',
        encoding="utf-8",
    )


def descriptor(name: str, origin: str = "") -> str:
    return (
        f'<MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/old/{name}" MIME_TYPE="video/mp4" '
        f'RELATIVE_MEDIA_URL="./{name}"{origin}/>'
    )


def signs(first: int) -> list[Annotation]:
    return [(first + 900 * n, first + 900 * n + 800, "çay" if n % 2 else "ev") for n in range(10)]


def init(folder: Path, *arguments: str) -> SampleTable:
    main(["init", str(folder), "--from", "elan", *arguments])
    return load_samples(read_config(str(folder / "config.yaml")).data)


def test_annotations_become_segments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Offsets, links to a place of another computer, two tiers for two hands, rare signs."""
    for number, signer in enumerate(("Ayşe", "Ben", "Çağla", "Dilan")):
        (tmp_path / f"film {number}.mp4").touch()
        tiers = {
            f"Gloss RH@{signer}": [*signs(1000), (20000, 20400, " "), (None, 30000, "ev")],
            f"Gloss LH@{signer}": [(1010, 1800, "ev"), (15000, 15500, f"rare {number}")],
            f"Translation@{signer}": [(0, 20000, "a sentence")],
        }
        link = descriptor(f"film%20{number}.mp4", ' TIME_ORIGIN="250"')
        eaf(tmp_path / f"film {number}.eaf", tiers, descriptor("sound.wav") + link)
    table = init(tmp_path, "--tier", "gloss*")
    assert table.classes == ("ev", "çay")
    assert len(table.samples) == 40
    assert table.samples[0].segment == Segment(1.25, 2.05)
    assert (table.samples[0].name, table.samples[0].signer) == ("film_0_00001", "Ayşe")
    assert len({(s.signer, s.split) for s in table.samples}) == 4
    out = capsys.readouterr().out
    assert "left out, annotations without a text: 4\n" in out
    assert "left out, annotations without times: 4\n" in out
    assert "nearly the same segment of the same sign as another: 4 (film 0_00002, " in out
    assert "left out, fewer than 3 samples: 4 (rare 0, rare 1, rare 2, rare 3)\n" in out


def test_a_dependent_tier_has_the_times_of_its_parent(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    references = "".join(
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="r{n}" ANNOTATION_REF="a{n}"><ANNOTATION_VALUE>'
        f"{'x' if n % 2 else 'y'}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
        for n in range(1, 11)
    )
    tier = f'<TIER LINGUISTIC_TYPE_REF="l" PARENT_REF="sign" TIER_ID="gloss">{references}</TIER>'
    eaf(tmp_path / "a.eaf", {"sign": signs(0)}, descriptor("a.mp4"), tier)
    table = init(tmp_path, "--tier", "gloss")
    assert table.classes == ("x", "y")
    assert table.samples[1].segment == Segment(0.9, 1.7)


BOMB = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><ANNOTATION_DOCUMENT/>'
LOOP = (
    '<TIER TIER_ID="t"><ANNOTATION><REF_ANNOTATION ANNOTATION_ID="r1" ANNOTATION_REF="r1">'
    "<ANNOTATION_VALUE>x</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION></TIER>"
)


LOST = LOOP.replace('REF="r1"', 'REF="gone"')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BOMB, "is no EAF file (DTDForbidden"),
        ("<html/>", "is no EAF file (ValueError: its root is html)"),
        ("<ANNOTATION_DOCUMENT", "is no EAF file (ParseError"),
        (f"{HEAD}{LOOP}</ANNOTATION_DOCUMENT>", "annotation r1 refers to itself"),
        (f"{HEAD}{LOST}</ANNOTATION_DOCUMENT>", "refers to 'gone', which is not there"),
        (f'{HEAD}<HEADER TIME_UNITS="NTSC-frames"/></ANNOTATION_DOCUMENT>', "are not milliseconds"),
    ],
)
def test_a_hostile_file_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, message: str
) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "a.eaf").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit):
        init(tmp_path)
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_tiers_without_a_pattern_and_files_without_video_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").touch()
    eaf(tmp_path / "a.eaf", {"RH": signs(0), "LH": signs(0)}, "")
    with pytest.raises(SystemExit):
        init(tmp_path)
    assert (
        "has the tiers 'RH', 'LH'; name those of the signs with --tier" in capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        init(tmp_path, "--tier", "RH")
    assert "links no video; link one in ELAN" in capsys.readouterr().err


def test_two_files_with_one_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In one of them a segment is there twice; the segments of the other one stay."""
    for folder in ("monday", "tuesday"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.mp4").touch()
        repeated = [(10, 810, "ev")] if folder == "tuesday" else []
        tiers = {"sign": [*signs(0), *repeated]}
        eaf(tmp_path / folder / "film.eaf", tiers, descriptor(f"{folder}.mp4"))
    table = init(tmp_path, "--tier", "sign")
    assert len(table.samples) == 20
    assert len({sample.name for sample in table.samples}) == 20
    assert "as another: 1 (film_00002)\n" in capsys.readouterr().out


@pytest.fixture
def answered_run(tmp_path: Path) -> Path:
    """Results with a verify table of three segments and a clip, and the answers of a track."""
    rows = [
        ("a", "train", "yes", "anna", "long.mp4", Segment(1, 2)),
        ("b", "val", "no", "anna", "long.mp4", Segment(2, 2.5)),
        ("c", "test", "no", "ben", "long.mp4", Segment(4)),
        ("d", "test", "yes", "ben", "clip.mp4", None),
    ]
    lines = ["sample,split,label,signer,color,start_s,end_s"]
    verified = []
    for name, split, label, signer, color, segment in rows:
        times = segment.cells() if segment else {"start_s": "", "end_s": ""}
        end = "" if times["end_s"] is None else times["end_s"]
        lines.append(f"{name},{split},{label},{signer},{color},{times['start_s']},{end}")
        place = str(tmp_path / color)
        verified.append(Verified(name, place, "", "", 25, 64, 48, 25.0, segment=segment))
    (tmp_path / "samples.csv").write_text("\n".join(lines) + "\n")
    results = tmp_path / "results"
    table = {"layout": "table", "table": str(tmp_path / "samples.csv")}
    joint = {"model": "slgcn", "training": {"epochs": 3}}
    values = {
        "name": "small",
        "results": str(results),
        "data": {**table, "signer_independent": False},
        "streams": {"joint": joint},
        "tracks": {"rgb": {"streams": {"joint": 1.0}}},
    }
    write_config(check_config(values), str(results / "config.yaml"))
    write_verified(results / "verify/train/all.csv", verified)
    answers = [
        {"sample": "c", "split": "test", "answer": "yes", "probability": 0.7, "accepted": False},
        {"sample": "d", "split": "test", "answer": "no", "probability": 0.9, "accepted": True},
    ]
    write_answers(results / "tracks/rgb/predictions.csv", answers)
    return results


def test_samples_and_answers_become_tiers(tmp_path: Path, answered_run: Path) -> None:
    out = tmp_path / "eaf"
    main(["export", "--elan", "--results", str(answered_run), "--out", str(out)])
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert sorted(first) == ["clip.eaf", "long.eaf"]
    root = ElementTree.fromstring(first["long.eaf"])
    (media,) = root.iter("MEDIA_DESCRIPTOR")
    assert media.get("RELATIVE_MEDIA_URL") == "./../long.mp4"
    assert media.get("MEDIA_URL") == (tmp_path / "long.mp4").as_uri()
    tiers = {tier.get("TIER_ID"): tier for tier in root.iter("TIER")}
    assert list(tiers) == ["rgb@ben", "sign@anna", "sign@ben"]
    assert tiers["sign@anna"].get("PARTICIPANT") == "anna"
    assert [value.text for value in tiers["rgb@ben"].iter("ANNOTATION_VALUE")] == ["unsure: yes"]
    assert b">no</ANNOTATION_VALUE>" in first["clip.eaf"]
    times = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    shown = [
        (times[a.get("TIME_SLOT_REF1")], times[a.get("TIME_SLOT_REF2")])
        for a in tiers["sign@anna"].iter("ALIGNABLE_ANNOTATION")
    ]
    assert shown == [("1000", "2000"), ("2000", "2500")]
    main(["export", "--elan", "--results", str(answered_run), "--out", str(out)])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first


def test_exported_tiers_are_read_again(tmp_path: Path) -> None:
    """The text, times and signers of the annotations, through ELAN's format and back.

    Some overlap, as those of two hands do.
    """
    (tmp_path / "a.mp4").touch()
    tiers = {"sign RH@Ayşe": signs(0), "sign LH@Ayşe": [(700, 1200, "ev"), (1100, 1300, "ev")]}
    eaf(tmp_path / "a.eaf", tiers, descriptor("a.mp4"))
    table = init(tmp_path, "--tier", "sign*")
    write_config(read_config(str(tmp_path / "config.yaml")), str(tmp_path / "results/config.yaml"))
    rows = [
        Verified(s.name, s.color, "", "", 20, 64, 48, 25.0, segment=s.segment)
        for s in table.samples
    ]
    write_verified(tmp_path / "results/verify/train/all.csv", rows)
    out = tmp_path / "back"
    main(["export", "--elan", "--results", str(tmp_path / "results"), "--out", str(out)])
    root = ElementTree.parse(out / "a.eaf").getroot()
    tiers_of_one = [f"sign@Ayşe{more}" for more in ("", " 2", " 3")]
    assert [tier.get("TIER_ID") for tier in root.iter("TIER")] == tiers_of_one
    back = init(out, "--videos", str(tmp_path), "--tier", "sign*")
    facts = [[(s.label, s.signer, s.segment, t.classes) for s in t.samples] for t in (table, back)]
    assert facts[0] == facts[1]
