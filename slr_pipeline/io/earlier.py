"""Clips of an earlier feature file: a shard that gets new clips does not make the others anew."""

import json
from collections.abc import Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.errors import ArtifactError
from slr_pipeline.io.feature_writer import Attributes
from slr_pipeline.io.features import FeatureStore
from slr_pipeline.io.verified import Verified


class EarlierClips:
    """Clips of the earlier file `out` with the same version, attributes and settings.

    Also those of the files beside it of shards that have been halved since, whose names begin its
    own. Damaged and foreign files are ignored.
    """

    def __init__(
        self, out: str, feature: str, attributes: Attributes, settings: Mapping[str, Any]
    ) -> None:
        self.taken = 0
        """Number of clips that `values` has returned."""
        self._clips: dict[str, tuple[FeatureStore, str]] = {}
        expected = json.loads(json.dumps(settings))
        shard = Path(out).stem
        for earlier in ("all", *(accumulate(shard) if shard != "all" else ())):
            try:
                store = FeatureStore(feature, [Path(out).with_name(f"{earlier}.h5")])
            except ArtifactError:
                continue
            found = store.attributes_of(store.samples[0])
            made = json.loads(found["provenance"])
            same = all(found.get(name) == value for name, value in attributes.items())
            if same and made["settings"] == expected:
                self._clips.update((name, (store, sum_)) for name, sum_ in made["inputs"].items())

    def values(self, row: Verified) -> NDArray[Any] | None:
        """Values (T, ...) of a row if made from the same video; None if there are none."""
        store, sha256 = self._clips.get(row.sample, (None, ""))
        if store is None or sha256 != row.source("color"):
            return None
        try:
            clip = store.read(row.sample)
        except ArtifactError:
            return None
        facts = (len(row.feature_frames()), row.width, row.height, row.fps, row.feature_fps)
        if (len(clip.values), clip.width, clip.height, clip.video_fps, clip.fps) != facts:
            return None
        self.taken += 1
        return np.asarray(clip.values)
