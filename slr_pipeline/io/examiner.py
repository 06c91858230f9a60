"""What a run must know of a video before it uses it.

The process that decodes foreign files (`io.guarded`) starts by importing this module: it is small.
"""

from slr_pipeline.errors import DataError
from slr_pipeline.features.perceptual_hash import hashes_to_text, perceptual_hashes
from slr_pipeline.io.recordings import Recordings
from slr_pipeline.io.video import Thumbnails, VideoInfo, probe, sha256_of
from slr_pipeline.samples.segments import Segment


class Examiner:
    """Decodes videos and segments; those of one recording, in order of time, decode it once."""

    def __init__(self) -> None:
        self._recordings = Recordings()
        self._sums: dict[str, str] = {}

    def __call__(
        self, path: str, sha256: str | None, grey: bool, segment: Segment | None
    ) -> tuple[VideoInfo, str, str]:
        """Facts and SHA-256 of a colour or grey video, and the perceptual hash of a colour one.

        DataError if its SHA-256 is not `sha256`.
        """
        if sha256 is not None and (actual := self._sum(path, segment)) != sha256:
            raise DataError(
                f"{path}: has SHA-256 {actual}, the sample table says {sha256}; copy it again from "
                "its source"
            )
        thumbnails = None if grey else Thumbnails()
        info = probe(path, segment, grey=grey, recordings=self._recordings, thumbnails=thumbnails)
        hashed = thumbnails and hashes_to_text(perceptual_hashes(thumbnails.stacked()))
        return info, sha256 or self._sum(path, segment), hashed or ""

    def _sum(self, path: str, segment: Segment | None) -> str:
        if segment is None:
            return sha256_of(path)
        if path not in self._sums:
            self._sums[path] = sha256_of(path)
        return self._sums[path]
