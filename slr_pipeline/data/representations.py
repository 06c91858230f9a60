"""What a skeleton stream is given of a skeleton: joints, bones, or the movement of either.

Source: SAM-SLR (Jiang et al., CVPRW 2021, section 3.1), after 2s-AGCN. Arrays are (T, 27, 3): x, y
and score. Bones and movements are vectors; only joints have a place in the picture.
"""

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.schema import Fidelity, Representation
from slr_pipeline.skeleton import BONES_27

Array = NDArray[np.float32]


def represented(skeleton: Array, representation: Representation, fidelity: Fidelity) -> Array:
    """The skeleton (T, 27, 3) as joints, bones, or the movement of either."""
    match representation:
        case "joint":
            return skeleton
        case "bone":
            return bones(skeleton, fidelity)
        case "joint_motion":
            return motion(skeleton, fidelity)
        case "bone_motion":
            return motion(bones(skeleton, fidelity), fidelity)
        case _:
            assert_never(representation)


def bones(skeleton: Array, fidelity: Fidelity) -> Array:
    """Each joint minus its parent. `corrected`: the score is the lower of both; the nose is 0.

    PUBLISHED: the scores are subtracted as well, and the nose, which has no parent, keeps its
    place in the picture.
    """
    children = [child for _, child in BONES_27]
    parents = [parent for parent, _ in BONES_27]
    out = skeleton.copy()
    out[:, children] -= skeleton[:, parents]
    if fidelity == "corrected":
        out[:, 0, :2] = 0
        out[:, children, 2] = np.minimum(skeleton[:, children, 2], skeleton[:, parents, 2])
    return out


def motion(values: Array, fidelity: Fidelity) -> Array:
    """`corrected`: each frame minus the one before it, the first 0; the lower score of both.

    PUBLISHED: the next frame minus each, the last 0, and so are the scores.
    """
    out = np.zeros_like(values)
    if fidelity == "published":
        out[:-1] = np.diff(values, axis=0)
        return out
    out[1:, :, :2] = np.diff(values[..., :2], axis=0)
    out[1:, :, 2] = np.minimum(values[1:, :, 2], values[:-1, :, 2])
    out[:1, :, 2] = values[:1, :, 2]
    return out
