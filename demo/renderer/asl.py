"""Four signs of American Sign Language, to try `models/asl100` on.

Animated from how dictionaries describe them, not recorded from a signer:

- MOTHER: the thumb of the open hand touches the chin twice.
- FINE: the thumb of the open hand leaves the chest forwards.
- TELL: the forefinger moves from below the lips to the viewer.
- BLACK: the forefinger is drawn along the brow.

`python -m renderer.asl --out demo/asl`
"""

import argparse
from pathlib import Path

from renderer.clips import Clip, build_scene, clip_pictures, open_studio
from renderer.signers import SIGNERS
from renderer.signs import Sign
from renderer.video import COLOUR_CRF, write_video

ASL_SIGNS: tuple[Sign, ...] = (
    Sign(0, "mother", "anne", ("five",), "thumb_to_chin", "before_chin", "tap", (0.1, 1.0, 0.0),
         0.06, 2, "closed", "rest"),
    Sign(1, "fine", "iyi", ("five",), "thumb_to_chest", "before_chest", "line", (0.0, 1.0, 0.0),
         0.14, 1, "closed", "rest"),
    Sign(2, "tell", "söylemek", ("point",), "finger_to_lips", "chin", "tap", (0.15, 1.0, -0.3),
         0.22, 1, "closed", "rest"),
    Sign(3, "black", "siyah", ("point",), "along_brow", "brow", "line", (1.0, 0.0, 0.0),
         0.13, 1, "closed", "rest"),
)  # fmt: skip


def main() -> None:
    """Write one clip of each sign."""
    parser = argparse.ArgumentParser(prog="python -m renderer.asl")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    studio = open_studio()
    for sign in ASL_SIGNS:
        pictures, _ = clip_pictures(
            studio, build_scene(studio, Clip(sign.gloss, SIGNERS[6], sign, take=0))
        )
        write_video(out / f"{sign.gloss}.mp4", pictures, COLOUR_CRF)


if __name__ == "__main__":
    main()
