"""ELAN: annotations of `.eaf` files, as segments of the video that a file links.

https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf: annotations are on tiers, at
times in ms; a tier may have a PARTICIPANT; TIME_ORIGIN of a MEDIA_DESCRIPTOR is the time of its
video at the time 0 of the annotations. Parsed by pympi-ling, after defusedxml has refused document
types and entities.
"""

from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlparse

from slr_pipeline.errors import INSTALL_FORMATS, ConfigError, DataError
from slr_pipeline.samples.clip_folder import VIDEO_SUFFIXES
from slr_pipeline.samples.formats.listing import Listed, Listing, Videos, find_lists
from slr_pipeline.samples.segments import Segment
from slr_pipeline.text import composed, refused_character


def read(place: Path, videos: Videos, tier: str | None) -> Listing:
    """The annotations on the tiers whose name fits the pattern `tier`, such as `*gloss*`.

    Without a pattern there must be one tier. The participant of a tier is the signer.
    """
    samples: list[Listed] = []
    left_out: Counter[str] = Counter()
    for path in find_lists(place, ["*.eaf"]):
        document = open_document(path)
        found = []
        for name in _tiers(path, document, tier):
            signer = composed(document.tiers[name][2].get("PARTICIPANT") or "")
            for start, end, text in _annotations(path, document, name):
                label = composed(" ".join(text.split()))
                if not label or refused_character(label):
                    left_out["without a text"] += 1
                elif start is None or end is None:
                    left_out["without times"] += 1
                else:
                    found.append((start, end, label, signer))
        samples += _listed(path, sorted(found), *_media(path, document, videos))
    notes = [f"left out, annotations {why}: {count}" for why, count in left_out.items()]
    return Listing(samples, notes)


def open_document(path: Path) -> Any:
    """The parsed file. DataError if it is no EAF file, or has a document type or entities."""
    try:  # late: an extra
        import defusedxml.ElementTree  # noqa: PLC0415
        from defusedxml.common import DefusedXmlException  # noqa: PLC0415
        from pympi.Elan import Eaf  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(f"{path}: needs {error.name}; install it: {INSTALL_FORMATS}") from error
    try:
        root = defusedxml.ElementTree.parse(path, forbid_dtd=True).getroot()
        if root.tag != "ANNOTATION_DOCUMENT":
            raise ValueError(f"its root is {root.tag}")
        document = Eaf(str(path), suppress_version_warning=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (DefusedXmlException, SyntaxError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: is no EAF file ({type(error).__name__}: {str(error)[:80]}); save it with ELAN"
        ) from error
    if document.header.get("TIME_UNITS", "milliseconds") != "milliseconds":
        raise DataError(f"{path}: its times are not milliseconds; save it with ELAN")
    return document


def _tiers(path: Path, document: Any, pattern: str | None) -> list[str]:
    names = [name for name, tier in document.tiers.items() if tier[0] or tier[1]]
    fitting = [n for n in names if pattern is None or fnmatchcase(n.lower(), pattern.lower())]
    if pattern is None and len(names) > 1:
        raise ConfigError(
            f"{path}: has the tiers {', '.join(map(repr, names[:20]))}; name those of the signs "
            "with --tier, such as --tier '*gloss*'"
        )
    return fitting


def _annotations(
    path: Path, document: Any, tier: str
) -> Iterator[tuple[int | None, int | None, str]]:
    """Start, end and text of the annotations of a tier; times are those of the aligned parent."""
    aligned, references, *_ = document.tiers[tier]
    for name, (*_, text, _) in aligned.items():
        yield *_times(path, document, name), text
    for name, (_, text, *_) in references.items():
        yield *_times(path, document, name), text


def _times(path: Path, document: Any, annotation: str) -> tuple[int | None, int | None]:
    seen = set()
    try:
        while annotation not in seen:
            seen.add(annotation)
            aligned, references, *_ = document.tiers[document.annotations[annotation]]
            if annotation in aligned:
                start, end, *_ = aligned[annotation]
                return document.timeslots[start], document.timeslots[end]
            annotation = references[annotation][0]
    except KeyError as error:
        raise DataError(f"{path}: refers to {error}, which is not there; save it again") from error
    raise DataError(f"{path}: annotation {annotation} refers to itself; save it with ELAN")


def _media(path: Path, document: Any, videos: Videos) -> tuple[str, int]:
    """The first linked video that is there, and its time at the time 0 of the annotations."""
    links = []
    for media in document.media_descriptors:
        for key in ("RELATIVE_MEDIA_URL", "MEDIA_URL"):
            name = PurePosixPath(unquote(urlparse(media.get(key, "")).path).replace("\\", "/")).name
            if PurePosixPath(name).suffix.lower() in VIDEO_SUFFIXES:
                links.append((name, int(media.get("TIME_ORIGIN") or 0)))
    for name, origin in links:
        if video := videos.find(name):
            return video, origin
    if not links:
        raise DataError(f"{path}: links no video; link one in ELAN (Edit, Linked Files)")
    return "", 0


def _listed(
    path: Path, annotations: list[tuple[int, int, str, str]], video: str, origin: int
) -> Iterator[Listed]:
    for number, (start, end, label, signer) in enumerate(annotations, start=1):
        segment = Segment(max(0, start + origin) / 1000, max(0, end + origin) / 1000)
        name = f"{path.stem}_{number:05d}"
        yield Listed(name, "", label, signer, video, segment=segment)
