"""Sample tables of both layouts, their faults, and stable shards."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slr_pipeline.config.experiment import AutslData, AutslLabels, TableData
from slr_pipeline.errors import DataError
from slr_pipeline.samples.segments import Segment
from slr_pipeline.samples.shards import labels_digest, shards
from slr_pipeline.samples.table import Sample, load_samples, signer_warnings
from slr_pipeline.samples.videos import digests

HEADER = "sample,split,label,signer,color,depth\n"
ROWS = "a,train,yes,1,v/a.mp4,\nb,val,no,2,v/b.mp4,v/b_d.mp4\nc,test,,3,v/c.mp4,\n"


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., TableData]:
    def write(text: str | bytes, **settings: str) -> TableData:
        path = tmp_path / "samples.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return TableData(layout="table", table=str(path), **settings)

    return write


@pytest.fixture
def autsl(tmp_path: Path) -> AutslData:
    (tmp_path / "SignList_ClassId_TR_EN.csv").write_text(
        "ClassId,TR,EN\r\n0,abla,sister\r\n1,ad,name\r\n"
    )
    for number, split in enumerate(("train", "val", "test")):
        (tmp_path / split).mkdir()
        (tmp_path / split / f"signer{number}_sample1_color.mp4").touch()
        (tmp_path / f"{split}_labels.csv").write_bytes(
            f"signer{number}_sample1,0\r\nsigner{number}_sample2,1\r\n".encode()
        )
    return AutslData(layout="autsl", root=str(tmp_path), depth=True)


def test_autsl_layout(autsl: AutslData) -> None:
    table = load_samples(autsl)
    assert table.classes == ("abla", "ad")
    assert [s.name for s in table.split("val")] == ["signer1_sample1", "signer1_sample2"]
    sample = table.split("test")[1]
    assert (sample.label, sample.signer) == (1, "2")
    assert sample.color == f"{autsl.root}/test/signer2_sample2_color.mp4"
    assert sample.depth == f"{autsl.root}/test/signer2_sample2_depth.mp4"


def test_autsl_test_split_without_labels_comes_from_its_folder(autsl: AutslData) -> None:
    data = autsl.model_copy(update={"labels": AutslLabels(test=None)})
    (sample,) = load_samples(data).split("test")
    assert (sample.name, sample.label) == ("signer2_sample1", None)


def test_table_layout_with_glosses(table: Callable[..., TableData], tmp_path: Path) -> None:
    loaded = load_samples(table(HEADER + ROWS))
    assert loaded.classes == ("no", "yes")
    assert [s.label for s in loaded.samples] == [1, 0, None]
    assert [s.depth for s in loaded.samples] == [None, str(tmp_path / "v/b_d.mp4"), None]


def test_table_accepts_bom_crlf_turkish_and_absent_columns(table: Callable[..., TableData]) -> None:
    text = "sample,split,label,color\na,train,çığ,a.mp4\nb,val,şöför,b.mp4\nc,test,çığ,c.mp4\n"
    plain = load_samples(table(text))
    other = load_samples(table(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()))
    assert plain == other
    assert plain.classes == ("çığ", "şöför")
    assert {s.signer for s in plain.samples} == {None}


def test_numbers_name_the_classes(table: Callable[..., TableData]) -> None:
    text = "sample,split,label,color\na,train,10,a.mp4\nb,val,2,b.mp4\nc,test,0,c.mp4\n"
    loaded = load_samples(table(text))
    assert loaded.classes == tuple(str(number) for number in range(11))
    assert [s.label for s in loaded.samples] == [10, 2, 0]


def test_classes_file_fixes_the_order(table: Callable[..., TableData], tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("yes\nno\nmaybe\n")
    data = table(HEADER + ROWS, classes=str(tmp_path / "classes.txt"))
    loaded = load_samples(data)
    assert loaded.classes == ("yes", "no", "maybe")
    assert loaded.samples[0].label == 0
    (tmp_path / "classes.txt").write_text("no\n")
    with pytest.raises(DataError, match=r"line 2: label 'yes' is not a class \(known: no\)"):
        load_samples(data)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "expected a header of sample,split"),
        ("sample,split,label\n", "expected a header of sample,split"),
        ("sample,split,label,color,colour\n", "expected a header of sample,split"),
        ("sample,split,label,color,color\na,train,yes,a.mp4,b.mp4\n", "expected a header of"),
        (HEADER + ROWS + "a,train,yes,1,v/a.mp4,\n", "sample a appears twice; names must be"),
        (HEADER + ROWS + "d,dev,yes,1,v/a.mp4,\n", "line 5: split 'dev' is none of train, val,"),
        (HEADER + ROWS + "d,train,,1,v/a.mp4,\n", "line 5: sample d of train has no label"),
        (HEADER + ROWS + "d,train,yes,1,v/a.mp4\n", "line 5: expected 6 cells, found 5"),
        (HEADER + ROWS + "../d,train,yes,1,v.mp4,\n", "line 5: sample name '../d' must be 1 to"),
        (HEADER + ROWS + "-rf,train,yes,1,v.mp4,\n", "line 5: sample name '-rf' must be 1 to"),
        (HEADER + ROWS + "d,train,yes,1,../../x,\n", "line 5: path '../../x' leaves the data fol"),
        (HEADER + ROWS + "d,train,yes,1,/etc/x,\n", "line 5: path '/etc/x' leaves the data fold"),
        (HEADER + ROWS + "d,train,yes,1,./.,\n", "line 5: path './.' leaves the data fold"),
        (HEADER + ROWS + "d,train,yes,1,x/../../y,\n", "line 5: path 'x/../../y' leaves the d"),
        (HEADER + "a,train,yes,1,v/a.mp4,\n", "split val has no samples"),
        (HEADER.encode() + b"\xff\xfe,train\n", "not UTF-8 text; save it as a UTF-8 CSV"),
        (HEADER + 'a,train,"yes,1\n', "not a CSV"),
    ],
)
def test_a_bad_table_gives_one_line(
    table: Callable[..., TableData], text: str | bytes, line: str
) -> None:
    data = table(text)
    with pytest.raises(DataError) as caught:
        load_samples(data)
    message = str(caught.value)
    assert message.startswith(data.table)
    assert line in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("signers", "reason"),
    [
        (("", "", ""), "the signers of all samples are unknown"),
        (("1", "", "3"), "the signers of 1 of 3 samples are unknown"),
        (("1", "1", "3"), "1 of 1 signers of val are also in train"),
        (("1", "2", "2"), "1 of 1 signers of test are also in train or val"),
        (
            ("", "2", "2"),
            "the signers of 1 of 3 samples are unknown, and 1 of 1 signers of test are also in "
            "train or val",
        ),
        (("1", "2", "3"), None),
    ],
)
def test_unknown_and_shared_signers_are_a_warning(
    table: Callable[..., TableData], signers: tuple[str, str, str], reason: str | None
) -> None:
    rows = "a,train,yes,{},a.mp4,\nb,val,no,{},b.mp4,\nc,test,,{},c.mp4,\n".format(*signers)
    data = table(HEADER + rows).model_copy(update={"signer_independent": False})
    warnings = [f"The accuracy says nothing about new signers: {reason}."] if reason else []
    assert signer_warnings(load_samples(data)) == warnings


@pytest.mark.parametrize("label", ["2", "-1", "1.0", "x", ""])
def test_a_wrong_autsl_label_or_a_missing_file_is_named(autsl: AutslData, label: str) -> None:
    path = Path(autsl.root) / "val_labels.csv"
    path.write_text(f"signer1_sample1,0\nsigner1_sample2,{label}\n")
    with pytest.raises(DataError, match=rf"line 2: label '{label}' is not a number in 0\.\.1"):
        load_samples(autsl)
    path.unlink()
    with pytest.raises(DataError, match=r"val_labels\.csv: cannot be read \(No such file"):
        load_samples(autsl)


def samples_of(names: list[str]) -> list[Sample]:
    """Clips, and with a digit in the name a segment of one of ten recordings."""
    places = [next((int(letter) for letter in name if letter.isdigit()), None) for name in names]
    return [
        Sample(name, "train", 0, None, f"{name}.mp4", None)
        if place is None
        else Sample(name, "train", 0, None, f"{place}.mp4", None, segment=Segment(100 * len(name)))
        for name, place in zip(names, places, strict=True)
    ]


NAMES = st.lists(st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True), unique=True, max_size=60)


@given(NAMES, st.integers(1, 10))
def test_every_sample_is_in_one_small_shard(names: list[str], size: int) -> None:
    parts = shards(samples_of(names), size)
    assert sorted(s.name for part in parts.values() for s in part) == sorted(names)
    assert all(0 < len(part) <= size for part in parts.values())


@given(NAMES.filter(len), st.integers(1, 10), st.randoms(use_true_random=False))
def test_an_added_sample_changes_only_its_shard(names: list[str], size: int, random) -> None:
    before = shards(samples_of(names[:-1]), size)
    random.shuffle(shuffled := list(names))
    after = shards(samples_of(shuffled), size)
    new = {s.name for key in after if before.get(key) != after[key] for s in after[key]}
    old_keys = [key for key in before if before[key] != after.get(key)]
    assert names[-1] in new
    assert len(old_keys) <= 1
    assert new - {names[-1]} == {s.name for key in old_keys for s in before[key]}


def test_digests_follow_videos_and_labels(autsl: AutslData) -> None:
    table = load_samples(autsl)
    val = table.split("val")
    moved = [*val[:-1], Sample(val[-1].name, "val", 0, "1", "elsewhere.mp4", None)]
    relabelled = [*val[:-1], Sample(val[-1].name, "val", 0, "1", val[-1].color, val[-1].depth)]
    assert digests(val, "none.csv", 9)[0] != digests(moved, "none.csv", 9)[0]
    assert digests(val, "none.csv", 9) == digests(relabelled, "none.csv", 9)
    assert labels_digest(table, ["val"]) != labels_digest(table, ["test"])


def test_checksums_are_read_and_change_the_digest(tmp_path: Path) -> None:
    def load(checksums: str) -> tuple[Sample, ...]:
        path = tmp_path / "samples.csv"
        rows = [f"s,train,a,a.mp4,d.mp4,{checksums}", "t,val,b,b.mp4,,,", "u,test,,c.mp4,,,"]
        header = "sample,split,label,color,depth,color_sha256,depth_sha256"
        path.write_text("\n".join([header, *rows]))
        return load_samples(TableData(layout="table", table=str(path))).samples

    plain, color, depth = load(","), load(f"{'aB' * 32},"), load(f",{'ab' * 32}")
    assert (color[0].color_sha256, color[0].depth_sha256) == ("ab" * 32, None)
    assert plain[0].color_sha256 is None
    assert len({digests(s, "none.csv", 9)[0] for s in (plain, color, depth)}) == 3
    with pytest.raises(DataError, match=r"samples.csv, line 2: 'abc' is not a SHA-256 of 64 hex"):
        load("abc,")


SEGMENTS = HEADER.replace("depth", "depth,start_s,end_s")


def test_segments_of_a_recording(table: Callable[..., TableData]) -> None:
    """Of spreadsheets with decimal commas too; an empty cell is the start or end of the file."""
    rows = "a;train;yes;1;a.mp4;;;\nb;val;no;2;long.mp4;;1,5;2,25\nc;test;yes;3;long.mp4;;;7\n"
    loaded = load_samples(table(SEGMENTS.replace(",", ";") + rows + "d;train;no;1;long.mp4;;9;\n"))
    segments = [sample.segment for sample in loaded.samples]
    assert segments == [None, Segment(1.5, 2.25), Segment(0, 7), Segment(9)]
    assert [s.name for s in shards(loaded.split("train"), 9)["all"]] == ["a", "d"]


def test_segments_of_a_shard_are_in_order_of_time(table: Callable[..., TableData]) -> None:
    rows = "".join(f"s{n},train,yes,1,long.mp4,,{9 - n},{10 - n}\n" for n in range(5))
    loaded = load_samples(table(SEGMENTS + rows + "b,val,no,2,b.mp4,,,\nc,test,no,3,c.mp4,,,\n"))
    assert [s.name for s in shards(loaded.split("train"), 9)["all"]] == [
        "s4",
        "s3",
        "s2",
        "s1",
        "s0",
    ]


def test_each_part_of_a_recording_is_in_one_shard() -> None:
    """1,000 segments of an hour: no shard reads what another one reads, and the folder may move."""
    made = []
    for folder in ("", "moved/"):
        samples = [
            Sample(
                *(f"s{n}", "train", 0, None, f"{folder}long.mp4", None),
                segment=Segment(3.6 * n, 3.6 * n + 1.8),
            )
            for n in range(1000)
        ]
        made.append(shards(samples, 512))
        own = [
            {s.segment.start_ms // 300_000 for s in shard if s.segment}
            for shard in made[-1].values()
        ]
        assert len(own) > 1
        assert sorted(part for shard in own for part in shard) == list(range(12))
    names = [{shard: [s.name for s in own] for shard, own in parts.items()} for parts in made]
    assert names[0] == names[1]


def test_bad_segments_give_one_line_each(table: Callable[..., TableData]) -> None:
    times = [
        *[("1", "2"), ("1.1", "2.1"), ("-1", "2"), ("3", "3"), ("4", "3.9999"), ("x", "1")],
        *[("nan", ""), ("0:01", ""), ("1e3", ""), ("1.3", "2.3"), ("9", ""), ("9.1", "")],
    ]
    rows = "".join(f"s{n},train,yes,1,long.mp4,,{a},{b}\n" for n, (a, b) in enumerate(times))
    rows += "o,train,no,1,long.mp4,,1,2\n" + ROWS.replace(",\n", ",,,\n").replace(
        "_d.mp4\n", "_d.mp4,,\n"
    )
    with pytest.raises(DataError) as caught:
        load_samples(table(SEGMENTS + rows))
    lines = [line.split(".csv")[1] for line in str(caught.value).splitlines()]
    assert lines == [
        ", line 4: sample s2: start_s '-1' is not a number of seconds from 0 on, such as 12.48",
        ", line 5: sample s3: the segment 3.000 to 3.000 s is empty; end_s must be after start_s",
        ", line 6: sample s4: the segment 4.000 to 4.000 s is empty; end_s must be after start_s",
        ", line 7: sample s5: start_s 'x' is not a number of seconds from 0 on, such as 12.48",
        ", line 8: sample s6: start_s 'nan' is not a number of seconds from 0 on, such as 12.48",
        ", line 9: sample s7: start_s '0:01' is not a number of seconds from 0 on, such as 12.48",
        ", line 10: sample s8: start_s '1e3' is not a number of seconds from 0 on, such as 12.48",
        ": samples s0 and s1 have the same label and 90% of the shorter segment in common; correct "
        "start_s and end_s, or remove one",
        ": samples s10 and s11 have the same label and 100% of the shorter segment in common; "
        "correct start_s and end_s, or remove one",
    ]
