"""Writing the keypoints of a run for other programs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.documents import read_run_config
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.foreign.annotations import Annotation, write_annotations
from slr_pipeline.io.foreign.openpose_json import write_folder
from slr_pipeline.io.foreign.pose_file import write_pose
from slr_pipeline.io.messages import listed
from slr_pipeline.samples.table import load_samples

LAYOUTS_OF: Final = {
    "pose": ("coco-wholebody-133", "body-135", "body-25", "holistic"),
    "openpose": ("body-25", "body-135"),
    "mmaction2": ("coco-wholebody-133",),
}
"""The layouts of each format; the first is the default."""


def export_keypoints(
    results: Path,
    kind: str,
    out: Path,
    *,
    layout: str | None = None,
    samples: Sequence[str] | None = None,
) -> tuple[int, int]:
    """Write the keypoints of a run; return the numbers of written and of quarantined samples.

    `kind` `pose` writes `out/{sample}.pose`, `openpose` `out/{sample}/*_keypoints.json`, and
    `mmaction2` `out/keypoints.pkl` with the labels of the run's sample table. `layout` is one of
    `LAYOUTS_OF[kind]`; None: the first. ConfigError for a layout that the format does not have,
    DataError without keypoints or for unknown samples, SlrError without pose-format.
    """
    layouts = LAYOUTS_OF[kind]
    if layout not in (None, *layouts):
        raise ConfigError(f"--layout {layout}: {kind} has {', '.join(layouts)}")
    store = FeatureStore("keypoints", sorted(results.glob("features/keypoints/*/*.h5")))
    if not store.samples:
        raise DataError(
            f"{results}: no file features/keypoints/*/*.h5; run `snakemake features` first"
        )
    unknown = sorted(set(samples or ()) - set(store.samples))
    if unknown:
        raise DataError(f"--samples: not in {results}: {listed(unknown)}; check the names")
    chosen = store.samples if samples is None else tuple(samples)
    present = [sample for sample in chosen if store.frames(sample)]
    if kind == "mmaction2":
        write_annotations(out / "keypoints.pkl", _annotations(results, store, present))
    else:
        for sample in present:
            clip = store.read(sample)
            if kind == "openpose":
                write_folder(out / sample, sample, clip.values, layout or layouts[0])
            else:
                path, size = out / f"{sample}.pose", {"width": clip.width, "height": clip.height}
                write_pose(path, clip.values, layout or layouts[0], fps=clip.fps, **size)
    return len(present), len(chosen) - len(present)


def _annotations(results: Path, store: FeatureStore, samples: list[str]) -> Iterator[Annotation]:
    table = load_samples(read_run_config(results).data)
    labels = {sample.name: sample.label for sample in table.samples}
    for sample in samples:
        if sample not in labels:
            raise DataError(
                f"{results}/config.yaml: its sample table has no {sample}; export with the table "
                "of the run"
            )
        clip = store.read(sample)
        yield Annotation(
            sample=sample,
            split=store.path_of(sample).parent.name,
            label=labels[sample],
            keypoints=clip.values,
            width=clip.width,
            height=clip.height,
        )
