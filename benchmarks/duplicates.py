"""How well copies of clips are found, and how fast.

    python -m benchmarks.duplicates --config config/wlasl100.yaml --clips 120
    python -m benchmarks.duplicates --made-up 100000

With a config: the share of altered copies of some of its clips that are found, and the pairs that
are found among all of its clips. Different takes of a sign by the same signer are no copies: their
pairs are listed with their distance, to be looked at. With `--made-up`: time, memory, recall and
precision for made-up hashes, in one thread.
"""

import argparse
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np

from slr_pipeline.config.experiment import read_config
from slr_pipeline.features.near_duplicates import near_duplicates
from slr_pipeline.features.perceptual_hash import Hashes, hashes_from_text
from slr_pipeline.io.video import Picture, read_frames
from slr_pipeline.samples.table import Sample, load_samples
from slr_pipeline.steps.verify import verify_sample

Pictures = list[Picture]
GAMMA = (255 * (np.arange(256) / 255) ** 1.6).astype(np.uint8)


def cropped(pictures: Pictures) -> Pictures:
    """2.5 % off each edge."""
    y, x = (round(0.025 * size) for size in pictures[0].shape[:2])
    return [picture[y:-y, x:-x] for picture in pictures]


def scaled(pictures: Pictures) -> Pictures:
    """Half as high and wide."""
    size = (pictures[0].shape[1] // 2, pictures[0].shape[0] // 2)
    return [np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA)) for p in pictures]


def trimmed(pictures: Pictures) -> Pictures:
    """A tenth off each end."""
    cut = round(0.1 * len(pictures))
    return pictures[cut : len(pictures) - cut]


def brighter(pictures: Pictures) -> Pictures:
    """Brighter, with less contrast."""
    return [(picture * 0.75 + 40).astype(np.uint8) for picture in pictures]


def mirrored(pictures: Pictures) -> Pictures:
    """Left and right exchanged."""
    return [picture[:, ::-1] for picture in pictures]


ALTERATIONS: dict[str, tuple[Callable[[Pictures], Pictures], int]] = {
    "encoded anew, CRF 35": (lambda pictures: pictures, 35),
    "encoded anew, CRF 42": (lambda pictures: pictures, 42),
    "scaled by a half": (scaled, 23),
    "cropped by 5 %": (cropped, 23),
    "trimmed by 10 % at each end": (trimmed, 23),
    "brighter, less contrast": (brighter, 23),
    "gamma 1.6": (lambda pictures: [GAMMA[picture] for picture in pictures], 23),
    "mirrored": (mirrored, 23),
    "mirrored and scaled, CRF 35": (lambda pictures: scaled(mirrored(pictures)), 35),
    "all of these": (lambda p: brighter(scaled(cropped(trimmed(mirrored(p))))), 35),
}


def main() -> None:
    """Parse the flags and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", help="an experiment whose clips are altered")
    parser.add_argument("--clips", type=int, default=120, help="number of clips to alter")
    parser.add_argument("--made-up", type=int, help="number of made-up clips")
    flags = parser.parse_args()
    if flags.config:
        altered_copies(list(load_samples(read_config(flags.config).data).samples), flags.clips)
    if flags.made_up:
        made_up(flags.made_up)


def altered_copies(samples: list[Sample], number: int) -> None:
    """Print the recall for each alteration, and the pairs among the clips themselves."""
    hashes = [hashes_of(sample.color) for sample in samples]
    chosen = np.random.default_rng(1).choice(len(samples), number, replace=False).tolist()
    print("| copy | found |\n|---|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (alter, crf) in ALTERATIONS.items():
            copies = [
                hashes_of(encode(alter(list(read_frames(samples[n].color))), folder, crf))
                for n in chosen
            ]
            pairs = near_duplicates([*hashes, *copies])
            found = {(pair.first, pair.second) for pair in pairs}
            hits = sum((n, len(samples) + k) in found for k, n in enumerate(chosen))
            print(f"| {name} | {hits} of {number} |")
    takes = Counter((s.signer, s.label) for s in samples if s.signer is not None)
    print(f"\n{sum(n * (n - 1) // 2 for n in takes.values())} pairs of one signer and sign.")
    print("\n| distance | mirrored | pair |\n|---:|---|---|")
    for pair in sorted(near_duplicates(hashes), key=lambda own: own.distance):
        named = " and ".join(
            f"{s.name} ({s.split}, signer {s.signer}, class {s.label})"
            for s in (samples[pair.first], samples[pair.second])
        )
        print(f"| {pair.distance:.3f} | {'yes' if pair.mirrored else ''} | {named} |")


def hashes_of(path: str) -> Hashes:
    """The perceptual hash of a video."""
    sample = Sample("clip", "train", None, None, path, None)
    return hashes_from_text(verify_sample(sample).perceptual_hash)


def encode(pictures: Pictures, folder: str, crf: int) -> str:
    """Write pictures as H.264, 25 per second."""
    path = str(Path(folder) / "copy.mp4")
    height, width = (size // 2 * 2 for size in pictures[0].shape[:2])
    with av.open(path, "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": "fast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for picture in pictures:
            even = np.ascontiguousarray(picture[:height, :width])
            out.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        out.mux(stream.encode())
    return path


def made_up(number: int) -> None:
    """Print time and memory of the search among made-up clips, one in a hundred a copy."""
    rng = np.random.default_rng(0)
    # Hands rise and fall alike in many clips, so half of the moments are among a few hundred.
    common = walks(rng, 300, 12)
    first, last = rng.integers(len(common), size=(2, number))
    clips = list(
        np.concatenate(
            [
                with_flips(rng, common[first], 0.06),
                walks(rng, number, 20),
                with_flips(rng, common[last], 0.06),
            ],
            axis=1,
        )
    )
    originals = rng.choice(number, number // 100, replace=False).tolist()
    clips += [with_flips(rng, clips[n][4:-3], 0.06) for n in originals]
    begin = time.process_time()
    pairs = near_duplicates(clips)
    seconds = time.process_time() - begin
    planted = {(n, number + k) for k, n in enumerate(originals)}
    found = {(pair.first, pair.second) for pair in pairs}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"\n| clips | s | peak, GB | copies found | other pairs |\n{'|---:' * 5}|")
    print(
        f"| {len(clips):,} | {seconds:.0f} | {peak:.1f} | {len(planted & found)} of {len(planted)} "
        f"| {len(found - planted)} |"
    )


def walks(rng: np.random.Generator, clips: int, moments: int) -> Hashes:
    """Hashes (clips, moments, 2); from one moment to the next, 15 % of the bits change."""
    hashes = np.empty((clips, moments, 2), np.uint64)
    hashes[:, 0] = rng.integers(1, 2**64 - 1, (clips, 2), np.uint64)
    for moment in range(1, moments):
        hashes[:, moment] = with_flips(rng, hashes[:, moment - 1], 0.15)
    return hashes


def with_flips(rng: np.random.Generator, hashes: Hashes, share: float) -> Hashes:
    """The hashes with a share of their bits changed."""
    changed = []
    for part in np.array_split(hashes, len(hashes) // 1000 + 1):  # bounds the memory
        flips = rng.random((*part.shape, 64), np.float32) < share
        changed.append(part ^ np.packbits(flips, axis=-1).view(">u8")[..., 0].astype(np.uint64))
    return np.concatenate(changed)


if __name__ == "__main__":
    main()
