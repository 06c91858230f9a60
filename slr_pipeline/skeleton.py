"""Keypoint layouts as data: names, ranges, left/right permutations, bones.

Layouts:

* **133**: COCO-WholeBody (Jin et al., 2020), the output of every pose estimator here;
* **BODY_135**: OpenPose's whole body, the input of pose flow (De Coster et al., 2021);
* **BODY_25**: OpenPose's body, followed by the points of its face and hand models;
* **Holistic**: MediaPipe's body, face mesh and hands;
* **27**: the joints of SAM-SLR's graph network (Jiang et al., 2021): nose, arms, and ten points
  of each hand;
* **57**: the points of the landmark streams: nose, arms, eight of the lips, and both hands.

A point has the same name in every layout, so names convert one layout into another (`sources`). No
value is invented for a point that a layout lacks.

"Left" is the signer's left. A flip permutation `p`: joint `i` of the mirrored person is joint
`p[i]` of the person. Mirroring twice is the identity.
"""

from typing import Final


def _both(*points: str) -> tuple[str, ...]:
    """The names of each point on the left and right side."""
    return tuple(f"{side}_{point}" for point in points for side in ("left", "right"))


_BODY: Final = (
    "nose",
    *_both("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle"),
)
_FEET: Final = (
    *("left_big_toe", "left_small_toe", "left_heel"),
    *("right_big_toe", "right_small_toe", "right_heel"),
)
_FACE: Final = tuple(f"face-{i}" for i in range(68))
_FINGERS: Final = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")


def _hand(side: str) -> tuple[str, ...]:
    """Names of a hand's 21 keypoints: the root, then four per finger from base (1) to tip (4)."""
    fingers = (f"{side}_{finger}{i}" for finger in _FINGERS for i in (1, 2, 3, 4))
    return (f"{side}_hand_root", *fingers)


KEYPOINTS_133: Final[tuple[str, ...]] = (*_BODY, *_FEET, *_FACE, *_hand("left"), *_hand("right"))
"""Names of the 133 COCO-WholeBody keypoints, in the order and spelling of the data set."""

BODY: Final = range(17)
FEET: Final = range(17, 23)
FACE: Final = range(23, 91)
LEFT_HAND: Final = range(91, 112)
RIGHT_HAND: Final = range(112, 133)
PARTS: Final[dict[str, range]] = {
    "body": BODY,
    "feet": FEET,
    "face": FACE,
    "left_hand": LEFT_HAND,
    "right_hand": RIGHT_HAND,
}
"""The range of each part among the 133 keypoints."""


def _permutation(
    size: int, swaps: tuple[tuple[int, int], ...], reversals: tuple[range, ...]
) -> tuple[int, ...]:
    """The identity of `size` entries with some pairs swapped and some ranges reversed."""
    order = list(range(size))
    for a, b in swaps:
        order[a], order[b] = b, a
    for run in reversals:
        for a, b in zip(run, reversed(run), strict=True):
            order[a] = b
    return tuple(order)


FLIP_133: Final[tuple[int, ...]] = _permutation(
    133,
    swaps=(
        # Body: eyes, ears, shoulders, elbows, wrists, hips, knees, ankles. The nose stays.
        *((left, left + 1) for left in range(1, 17, 2)),
        # Feet: big toe, small toe, heel.
        *((left, left + 3) for left in range(17, 20)),
        # Eyes: the corners and the upper lid run one way, the lower lid the other.
        *((59, 68), (60, 67), (61, 66), (62, 65), (63, 70), (64, 69)),
        # Hands.
        *zip(LEFT_HAND, RIGHT_HAND, strict=True),
    ),
    reversals=(
        range(23, 40),  # contour of the face, ear to ear
        range(40, 50),  # brows
        range(54, 59),  # nostrils; the bridge 50..53 stays
        range(71, 78),  # outer mouth, upper lip
        range(78, 83),  # outer mouth, lower lip
        range(83, 88),  # inner mouth, upper lip
        range(88, 91),  # inner mouth, lower lip
    ),
)
"""Left/right permutation of the 133 keypoints (SAM-SLR; COCO-WholeBody's own swap pairs)."""

_HAND_JOINTS: Final = (0, 4, 5, 8, 9, 12, 13, 16, 17, 20)
"""Indices within a hand: root, thumb tip, then base and tip of the other four fingers."""

JOINTS_27: Final[tuple[int, ...]] = (
    *(0, 5, 6, 7, 8, 9, 10),
    *(LEFT_HAND[i] for i in _HAND_JOINTS),
    *(RIGHT_HAND[i] for i in _HAND_JOINTS),
)
"""The 27 joints of SAM-SLR's graph as indices of the 133: nose, left and right shoulder, elbow and
wrist, then ten joints of the left and ten of the right hand."""

BONES_27: Final[tuple[tuple[int, int], ...]] = (
    # Arms, outwards from the nose.
    *((0, 1), (0, 2), (1, 3), (3, 5), (2, 4), (4, 6)),
    # Left hand: root to thumb tip and to the base of each finger, base to tip.
    *((7, 8), (7, 9), (7, 11), (7, 13), (7, 15), (9, 10), (11, 12), (13, 14), (15, 16)),
    # Right hand, likewise.
    *((17, 18), (17, 19), (17, 21), (17, 23), (17, 25), (19, 20), (21, 22), (23, 24), (25, 26)),
    # Wrist to root of the hand.
    *((5, 7), (6, 17)),
)
"""The 26 bones of the 27 joints as (parent, child): a tree rooted at the nose (joint 0)."""

PARENTS_27: Final[tuple[int, ...]] = tuple(
    {child: parent for parent, child in BONES_27}.get(joint, -1) for joint in range(27)
)
"""Parent of each of the 27 joints, -1 for the nose. A parent always comes before its children."""

FLIP_27: Final[tuple[int, ...]] = (0, 2, 1, 4, 3, 6, 5, *range(17, 27), *range(7, 17))
"""Left/right permutation of the 27 joints."""

_LIPS: Final = (71, 74, 77, 80, 83, 85, 87, 89)  # corners and middles, outer and inner

LANDMARKS_57: Final[tuple[int, ...]] = (0, *range(5, 11), *_LIPS, *LEFT_HAND, *RIGHT_HAND)
"""The 57 points of the landmark streams as indices of the 133: nose, left and right shoulder, elbow
and wrist, lips, left hand, right hand."""

FLIP_57: Final[tuple[int, ...]] = tuple(LANDMARKS_57.index(FLIP_133[i]) for i in LANDMARKS_57)
"""Left/right permutation of the 57 points."""

BODY_135: Final[tuple[str, ...]] = (
    *_BODY,
    *("upper_neck", "head_top"),
    *_FEET,
    *_hand("left")[1:],
    *_hand("right")[1:],
    *_FACE,
    *("right_pupil", "left_pupil"),
)
"""Names of OpenPose's BODY_135 keypoints. It lacks the root of the hand; the 133 lack upper neck,
head top and pupils."""

BODY_25_HANDS_FACE: Final[tuple[str, ...]] = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder"),
    *("left_elbow", "left_wrist", "mid_hip", "right_hip", "right_knee", "right_ankle"),
    *("left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear"),
    *_FEET,
    *_FACE,
    *("right_pupil", "left_pupil"),
    *_hand("left"),
    *_hand("right"),
)
"""Names of OpenPose's BODY_25 keypoints, then of its face model (70) and hand models (21 each). All
of the 133 are among them; the 133 lack neck, mid hip and pupils."""

_FACE_OF_MESH: Final = (
    *(127, 234, 93, 132, 58, 136, 149, 148, 152, 377, 378, 365, 288, 361, 323, 454, 356),  # contour
    *(70, 63, 105, 66, 107),  # right brow, outwards to inwards
    *(336, 296, 334, 293, 300),  # left brow, inwards to outwards
    *(168, 197, 5, 4),  # bridge of the nose, down to the tip
    *(98, 97, 2, 326, 327),  # nostrils
    *(33, 160, 158, 133, 153, 144),  # right eye: outer corner, upper lid, inner corner, lower lid
    *(362, 385, 387, 263, 373, 380),  # left eye: inner corner, upper lid, outer corner, lower lid
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),  # outer lips, clockwise in the picture
    *(78, 82, 13, 312, 308, 317, 14, 87),  # inner lips
)
"""The 68 face points (iBUG order, from the signer's right) among the 468 of the face mesh."""

HOLISTIC: Final[tuple[str, ...]] = (
    *("nose", "left_eye_inner", "left_eye", "left_eye_outer"),
    *("right_eye_inner", "right_eye", "right_eye_outer", "left_ear", "right_ear"),
    *("mouth_left", "mouth_right", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist", "left_pinky", "right_pinky", "left_index", "right_index"),
    *("left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee", "right_knee"),
    *("left_ankle", "right_ankle", "left_heel", "right_heel", "left_big_toe", "right_big_toe"),
    *(
        f"face-{_FACE_OF_MESH.index(i)}" if i in _FACE_OF_MESH else f"face_mesh-{i}"
        for i in range(468)
    ),
    *_hand("left"),
    *_hand("right"),
)
"""Names of MediaPipe Holistic's 33 pose, 468 face, 21 left and 21 right hand landmarks. Its foot
index is the big toe. It lacks the small toes; the 133 lack 400 points of the mesh, two of three
points per eye, and the pose's mouth corners and knuckles."""

LAYOUTS: Final[dict[str, tuple[str, ...]]] = {
    "coco-wholebody-133": KEYPOINTS_133,
    "body-135": BODY_135,
    "body-25": BODY_25_HANDS_FACE,
    "holistic": HOLISTIC,
}
"""The whole-body layouts of files, by name."""


def sources(wanted: tuple[str, ...], given: tuple[str, ...]) -> tuple[int, ...]:
    """The index of each wanted point among the given ones, -1 if it is missing."""
    index = {name: i for i, name in enumerate(given)}
    return tuple(index.get(name, -1) for name in wanted)


BODY_135_FROM_133: Final[tuple[int, ...]] = sources(BODY_135, KEYPOINTS_133)
"""The index of each point of BODY_135 among the 133, -1 if it is missing."""

UPPER_NECK: Final = 17
HEAD_TOP: Final = 18
"""Indices in BODY_135 of the two ends of the head; their distance is the unit of pose flow."""

EARS: Final = (3, 4)
SHOULDERS: Final = (5, 6)

UPPER_NECK_ABOVE_EARS: Final = -0.5
HEAD_TOP_ABOVE_EARS: Final = 0.7
"""Upper neck and head top for the 133, which lack them: at E + factor * (E - S), where E is the
midpoint of the ears and S that of the shoulders."""
# ASSUME: measured on the demo's eight signers, in units of |E - S|: the crown is 0.65 to 0.76 above
# E (mean 0.70), the second joint of the neck 0.46 to 0.51 below (0.49), the chin 0.46 to 0.59 below
# (0.51); all are within 0.03 sideways.

POSE_FLOW_KEYPOINTS: Final[tuple[int, ...]] = (*range(11), UPPER_NECK, HEAD_TOP, *range(25, 65))
"""The 53 points of BODY_135 that pose flow keeps: head, arms, upper neck, head top, hands."""
