"""Clips of earlier feature files: a shard that gets new clips does not make the others anew."""

from collections.abc import Iterator
from pathlib import Path

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.container import open_container
from slr_pipeline.io.feature_writer import NewClip
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.schema import FEATURES


class EarlierClips:
    """Clips by their digest, from the earlier file `path` and those of shards that it overlaps.

    Such files are beside it: a shard that grows is halved, and its halves may join again. Damaged
    and foreign files are ignored, and those of a version without digests.
    """

    def __init__(self, path: str | Path, feature: str) -> None:
        self.taken = 0
        """Number of clips that `clip` has returned."""
        self._places: dict[str, tuple[FeatureStore, str, dict[str, int]]] = {}
        for earlier in _overlapping(Path(path)):
            try:
                store = FeatureStore(feature, [earlier])
                with open_container(earlier) as file:
                    digests = file["digest"].asstr()[:]
                    counts = {name: file[name][:].tolist() for name in FEATURES[feature].counts}
            except (ArtifactError, OSError, KeyError):
                continue
            for row, (sample, digest) in enumerate(zip(store.samples, digests, strict=True)):
                own = {name: values[row] for name, values in counts.items()}
                self._places[digest] = (store, sample, own)

    def clip(self, sample: str, digest: str) -> NewClip | None:
        """The clip with this digest as one of `sample`, pictures encoded; None if there is none."""
        if not digest or digest not in self._places:
            return None
        store, name, counts = self._places[digest]
        try:
            clip = store.read(name, decode=False)
        except ArtifactError:
            return None
        self.taken += 1
        size = (clip.width, clip.height)
        return NewClip(sample, clip.values, *size, clip.video_fps, clip.boxes, counts, clip.fps)


def _overlapping(path: Path) -> Iterator[Path]:
    """The files of a folder whose shard contains that of `path` or is part of it."""
    bits = path.stem.removeprefix("all")
    for other in sorted(path.parent.glob("*.h5")):
        its = other.stem.removeprefix("all")
        if its.startswith(bits) or bits.startswith(its):
            yield other
