"""Videos that are several samples: in several splits they leak, of several classes they confuse."""

from collections.abc import Iterable, Mapping

from slr_pipeline.samples.table import Sample, SampleTable

SHOWN = 4
"""Number of samples to name."""


def duplicate_warnings(table: SampleTable, sums: Mapping[str, Iterable[str]]) -> list[str]:
    """Sentences on equal videos in several splits, and on equal videos of several classes.

    `sums` has the SHA-256 of the videos of each sample, empty if unknown.
    """
    equal: dict[str, list[Sample]] = {}
    for sample in table.samples:
        for sha256 in set(sums.get(sample.name, ())) - {""}:
            equal.setdefault(sha256, []).append(sample)
    # Colour and depth of the same samples are one duplicate.
    groups = {tuple(sample.name for sample in group): group for group in equal.values()}.values()
    leaks = [group for group in groups if len({s.split for s in group}) > 1]
    mixed = [group for group in groups if len({s.label for s in group} - {None}) > 1]
    sentences = []
    if leaks:
        named = ", ".join(f"{s.name} ({s.split})" for s in leaks[0][:SHOWN])
        sentences.append(
            f"The accuracy is too high: {_videos(len(leaks))} in several splits under other names "
            f"(equal SHA-256), first {named}."
        )
    if mixed:
        labelled = [s for s in mixed[0] if s.label is not None]
        named = ", ".join(f"{s.name} ({table.classes[s.label or 0]})" for s in labelled[:SHOWN])
        sentences.append(
            f"{_videos(len(mixed))} labelled as several classes (equal SHA-256), first {named}."
        )
    return sentences


def _videos(count: int) -> str:
    return "1 video is" if count == 1 else f"{count} videos are"
