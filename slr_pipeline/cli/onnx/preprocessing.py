"""From a video to the input of a stream's model, in words and numbers: the items of a list.

What they say is what `features/` and `data/` do; whoever changes those changes this.
"""

import math
from collections.abc import Sequence
from typing import assert_never

from slr_pipeline.config.features import FeatureSettings, FlowSettings, HeatmapsSettings
from slr_pipeline.config.streams import (
    R2plus1dSettings,
    SlgcnSettings,
    SstcnSettings,
    TrainedStream,
    VtnSettings,
)
from slr_pipeline.data.clip_transform import CROP_PX, SIDE_PX
from slr_pipeline.data.hand_transform import MEAN, STD
from slr_pipeline.features.frames import CROP_KEYPOINTS, MARGIN
from slr_pipeline.features.hand_crops import ARMS, BEYOND_WRIST, SHOULDER_DISTANCES
from slr_pipeline.features.heatmaps import HEATMAP_KEYPOINTS
from slr_pipeline.features.imputing import CONFIDENT
from slr_pipeline.io.jpeg import JPEG
from slr_pipeline.schema import Fidelity
from slr_pipeline.skeleton import (
    BODY_135_FROM_133,
    EARS,
    FLIP_27,
    JOINTS_27,
    PARENTS_27,
    POSE_FLOW_KEYPOINTS,
    SHOULDERS,
)
from slr_pipeline.training.streams import PICTURE_KINDS


def preprocessing(
    settings: TrainedStream, features: FeatureSettings, estimator: str, drawn: HeatmapsSettings
) -> list[str]:
    """The steps from a video to the inputs of one clip.

    `estimator` is what found the keypoints; `drawn` are the settings of the heat-maps.
    """
    keypoints = _keypoints(features, estimator)
    match settings:
        case SlgcnSettings():
            steps = _corrected_skeleton if settings.fidelity == "corrected" else _published_skeleton
            return [keypoints, *steps(settings)]
        case SstcnSettings():
            return [keypoints, *_heatmaps(settings, drawn)]
        case R2plus1dSettings():
            return [keypoints, *_pictures(settings, features)]
        case VtnSettings():
            return [keypoints, *_hands(settings, features), *_pose_flow(features)]
        case _:
            assert_never(settings)


def _keypoints(features: FeatureSettings, estimator: str) -> str:
    smoothing = features.keypoints.smoothing
    smoothed = (
        ""
        if smoothing is None
        else f" They are smoothed over time by the one-euro filter (min_cutoff_hz "
        f"{smoothing.min_cutoff_hz:g}, beta {smoothing.beta:g} per longer side of the picture, "
        f"speed_cutoff_hz {smoothing.speed_cutoff_hz:g})."
    )
    return (
        "Find the 133 keypoints of COCO-WholeBody in every frame of the colour video, which is not "
        "mirrored: x to the right and y down in pixels, and a score of 0 to 1. A keypoint that is "
        f"missing is (0, 0, 0). This model learnt from those of {estimator}.{smoothed} Keypoints "
        "have their numbers in the order of COCO-WholeBody, from 0."
    )


def _evenly(frames: int) -> str:
    return f"frames floor((2i + 1) T / {2 * frames}) for i = 0 to {frames - 1}"


def _corrected_skeleton(settings: SlgcnSettings) -> list[str]:
    N = settings.frames
    parents = ", ".join(f"{child} on {parent}" for child, parent in enumerate(PARENTS_27) if child)
    trim = (
        "Leave out the frames before the first and after the last that has a hand (a score above "
        "0 among keypoints 91 to 132), but for two on either side. All frames stay where no more "
        "than five have a hand."
    )
    bones = (
        f"Take each joint minus its parent ({parents}), with the lower score of both; the nose is "
        "(0, 0) with its own score."
    )
    motion = (
        "Take each frame minus the one before it, with the lower score of both; the first frame is "
        "(0, 0) with its own scores."
    )
    fill = _evenly(N) if settings.stretch else f"frame i mod T for i = 0 to {N - 1}"
    centre = (
        "Subtract from x and y of all joints the mean place of the nose (joint 0) over the frames "
        "that have it (score above 0), or over all frames if none has it."
    )
    return [
        *([trim] if settings.trim else []),
        f"Keep 27 joints, keypoints {_listed(JOINTS_27)} in this order.",
        "Multiply x and y by 512 / max(width, height) of the video's frame.",
        "Give every joint of score 0 a place, frame by frame; scores stay. It lies on the line "
        "between its places in the nearest frames before and after that have it, and at either end "
        "of the clip where it is first or last seen. A joint that no frame has lies on its parent "
        f"({parents}), parents first; the nose lies amid the shoulders seen, else amid all joints "
        "seen, else at (0, 0).",
        f"Of a clip of T frames, more than {N}, keep {_evenly(N)}.",
        *_vectors(settings, bones, motion),
        f"Fill a clip of T frames, fewer than {N}: {fill}.",
        *([centre] if settings.representation == "joint" else []),
        f"Order the axes as (x, y, score), frame, joint: (3, {N}, 27).",
    ]


def _published_skeleton(settings: SlgcnSettings) -> list[str]:
    N = settings.frames
    pairs = ", ".join(f"{child} - {parent}" for child, parent in enumerate(PARENTS_27) if child)
    bones = f"Subtract parents, x, y and score alike ({pairs}); the nose, joint 0, stays."
    motion = "Take the next frame minus each, x, y and score alike; the last frame is 0."
    centred = "all joints" if settings.representation == "joint" else "the nose alone"
    return [
        f"Take frame i mod T for i = 0 to {N - 1}: a short clip of T frames is repeated, a long "
        "one loses its end.",
        f"Keep 27 joints, keypoints {_listed(JOINTS_27)} in this order.",
        "Mirror the person: x becomes 512 - x, whatever the width of the frame, and joints change "
        f"places; the new joints are the old ones {_listed(FLIP_27)}. Those of score 0 become "
        "(0, 0, 0) again.",
        *_vectors(settings, bones, motion),
        f"Subtract from x and y of {centred} the mean place of the nose (joint 0) over all {N} "
        "frames.",
        f"Order the axes as (x, y, score), frame, joint: (3, {N}, 27).",
    ]


def _vectors(settings: SlgcnSettings, bones: str, motion: str) -> list[str]:
    """Which of both steps the representation takes."""
    return {
        "joint": [],
        "bone": [bones],
        "joint_motion": [motion],
        "bone_motion": [bones, motion],
    }[settings.representation]


def _heatmaps(settings: SstcnSettings, drawn: HeatmapsSettings) -> list[str]:
    chosen = _listed(HEATMAP_KEYPOINTS)
    sixty = (
        "Take 60 frames of the T: floor((2i + 1) T / 120) for i = 0 to 59."
        if drawn.fidelity == "corrected"
        else "Take 60 frames of the T as `slr_pipeline.features.heatmaps.sixty_frames` does in "
        "`published`: of a long clip every floor(T / (T - 60))-th frame is left out until 60 are "
        "there; of a short one every frame is there floor(60 / T) times, some and the last one "
        "more often."
    )
    placed = (
        "The picture keeps its proportions and lies in the middle of the grid: x px lies at "
        "(x + 0.5) 96 / L - 0.5 + (96 - 96 width / L) / 2 cells, L the longer side; y likewise."
        if drawn.fidelity == "corrected"
        else "The picture is stretched to the grid: x px lies at (x + 0.5) 96 / width - 0.5 cells; "
        "y likewise."
    )
    if drawn.source == "network":
        maps = (
            f"Take the network's own maps of 96 x 96 cells of keypoints {chosen}, max-pooled twice "
            "(3 x 3, stride 2, padding 1), as `slr_pipeline.pose.network_heatmaps` does."
        )
    else:
        maps = (
            f"Draw keypoints {chosen}, in this order, each on a grid of 96 x 96 cells as score "
            f"times exp(-d^2 / {2 * drawn.sigma**2:g}), d the distance in cells; nothing for a "
            f"missing one. {placed} Max-pool twice (3 x 3, stride 2, padding 1) to 24 x 24."
        )
    few = (
        []
        if settings.frames == 60
        else [
            f"Of the 60 frames keep floor((2i + 1) 60 / {2 * settings.frames}) for i = 0 to "
            f"{settings.frames - 1}."
        ]
    )
    return [sixty, maps, "Round each value to a 255th: round(255 x) / 255.", *few]


def _pictures(settings: R2plus1dSettings, features: FeatureSettings) -> list[str]:
    match settings.feature:
        case "frames":
            made = _colour(features.frames.fidelity)
        case "flow":
            made = _flow(features.flow, "colour video, in grey")
        case "depth_flow":
            made = _flow(features.depth_flow, "depth video")
        case "hha":
            made = _hha(features)
        case _:
            assert_never(settings.feature)
    return [*made, _window(settings), *_shrunk(settings)]


def _box(fidelity: Fidelity) -> str:
    chosen = _listed(CROP_KEYPOINTS)
    if fidelity == "published":
        return (
            "Box the signer, one box a clip, of frames that must be 512 x 512: take keypoints "
            f"{chosen} of all frames, missing ones as (0, 0). With their extent's middle c and "
            f"half its longer side r, the box is c - (20, 20), cut to whole pixels, plus and minus "
            f"floor({MARGIN} (r + 20)), clipped to the frame."
        )
    return (
        "Box the signer, one box a clip: of keypoints "
        f"{chosen} take in every frame the median over the five frames around it, weighted with "
        f"the scores, where the mean score of these is {CONFIDENT} at least. With these points' "
        "extent's middle c, half its longer side r, and m = 20/512 of the frame's longer side, the "
        f"box is c - (0, m), cut to whole pixels, plus and minus floor({MARGIN} (r + m)), clipped "
        "to the frame; the whole frame where there is nobody."
    )


def _crop(fidelity: Fidelity, method: str) -> str:
    return (
        "Cut the box out, pad it with black to a square (of an odd difference the smaller half on "
        f"top or on the left) and resize it to {SIDE_PX} x {SIDE_PX} (OpenCV's {method})."
    )


def _coded(fidelity: Fidelity, *, subsampled: bool = True) -> str:
    quality = JPEG[fidelity].quality
    return (
        f"The pipeline keeps these pictures as JPEG of quality {quality}"
        f"{', colour at half the size' if subsampled else ''}; without that step values differ by "
        "what JPEG loses."
    )


def _colour(fidelity: Fidelity) -> list[str]:
    method = "INTER_LINEAR" if fidelity == "published" else "INTER_AREA"
    return [_box(fidelity), f"{_crop(fidelity, method)} {_coded(fidelity)}"]


def _flow(settings: FlowSettings, video: str) -> list[str]:
    name = {"tvl1": "TV-L1", "dis": "DIS"}[settings.method]
    bound = settings.bound_px
    coded = (
        f"As bytes: round(255 (v + {bound:g}) / {2 * bound:g}), cut to 0 to 255, x (to the right) "
        "then y (down); the first frame of the video has no movement."
    )
    if settings.fidelity == "published":
        side = settings.working_px
        return [
            _box("published"),
            f"Resize every frame of the {video}, to {side} x {side} and compute the flow ({name} "
            "with the settings of `slr_pipeline.features.flow`, 300 inner iterations, no median "
            f"filter) from the frame before it. {coded} Resize these to 512 x 512.",
            f"{_crop('published', 'INTER_LINEAR')} {_coded('published', subsampled=False)}",
        ]
    return [
        _box("corrected"),
        f"{_crop('corrected', 'INTER_AREA')} This is done with every frame of the {video}.",
        f"Compute the flow of each crop from the one before it, in pixels of the crop ({name}, as "
        f"`slr_pipeline.features.flow.flow_estimator` sets it up). {coded} "
        f"{_coded('corrected', subsampled=False)}",
    ]


def _hha(features: FeatureSettings) -> list[str]:
    settings = features.hha
    camera = settings.camera
    seen = (
        f"fx {camera.fx:g}, fy {camera.fy:g}, cx {camera.cx:g}, cy {camera.cy:g} px"
        if camera is not None
        else "NYU's as released (`slr_pipeline.features.hha.NYU_CAMERA`)"
        if settings.fidelity == "published"
        else "a focal length of the frame's longer side, the axis through its middle"
    )
    lowest = (
        "its lowest point"
        if settings.height_rule == "lowest"
        else "its lowest point, or 130 cm below the camera if that is less than 90 cm below it"
    )
    channels = (
        "Channels are 31000 / max(depth in cm, 100), the height in cm over "
        f"{lowest}, and the angle of the surface with gravity in degrees + 38 (180 where there is "
        "no surface), each rounded (halves up) and cut to 0 to 255; 0 where depth is missing."
    )
    scale = (
        f"Depth is grey / {settings.grey_per_metre:g} metres of the depth video, 0 is missing. "
        f"The camera: {seen}."
    )
    if settings.fidelity == "published":
        return [
            _box("published"),
            f"Compute HHA of every whole frame, gravity and height 0 its own, with "
            f"`slr_pipeline.features.hha.hha`. {scale} {channels}",
            f"{_crop('published', 'INTER_LINEAR')} {_coded('published')}",
        ]
    return [
        _box("corrected"),
        f"{_crop('corrected', 'INTER_NEAREST_EXACT')} This is done with the depth video.",
        f"Compute HHA of the crops, gravity and height 0 one for the clip, with "
        f"`slr_pipeline.features.hha.clip_hha`. {scale} What is nearer than {settings.near_m:g} m "
        f"is missing, too. {channels} {_coded('corrected', subsampled=False)}",
    ]


def _window(settings: R2plus1dSettings) -> str:
    N, views = settings.frames, settings.test_clips
    short = f"Of a video of T frames, no more than {N}, take frame i mod T for i = 0 to {N - 1}."
    if views == 1:
        return f"Take {N} consecutive frames from frame floor((T - {N}) / 2) on. {short}"
    last = views - 1
    start = (
        f"floor((T - {N}) / {last}) k"
        if settings.fidelity == "published"
        else f"round((T - {N}) k / {last})"
    )
    return (
        f"Take {views} clips of {N} consecutive frames each; clip k (0 to {last}) starts with "
        f"frame {start}. The logits of a video are the mean of theirs. {short}"
    )


def _shrunk(settings: R2plus1dSettings) -> list[str]:
    crop, size = CROP_PX, settings.size
    edge = (SIDE_PX - crop) // 2
    samples = math.ceil(crop / size)
    shrink = (
        "bilinear with antialiasing, as Pillow does"
        if settings.fidelity == "published"
        else f"each pixel the mean of {samples} x {samples} bilinear samples"
    )
    flow = PICTURE_KINDS[settings.feature] == "flow"
    scaled = (
        "2 (byte - 128) / 255, so that rest is 0"
        if flow and settings.fidelity == "corrected"
        else "2 byte / 255 - 1"
    )
    return [
        f"Cut out the middle {crop} x {crop} (from pixel {edge}) and shrink it to {size} x {size}: "
        f"{shrink}.",
        f"Scale: {scaled}.",
        f"Order the axes as channel, frame, row, column: ({2 if flow else 3}, {settings.frames}, "
        f"{size}, {size}).",
    ]


def _hands(settings: VtnSettings, features: FeatureSettings) -> list[str]:
    N, stride, size = settings.frames, settings.stride, settings.size
    fidelity = settings.fidelity
    span = (N - 1) * stride + 1
    index = (
        f"Of T frames take {N}: a + {stride} i for i = 0 to {N - 1} with a = floor((T - {span}) / "
        f"2); of fewer than {span}, {_evenly(N)}."
        if fidelity == "corrected"
        else f"Of T frames take {N}: a + {stride} i for i = 0 to {N - 1} with a = "
        f"max(0, floor((T - {N}) / 4)); those beyond the end are the last of them within the video."
    )
    if size == CROP_PX:
        resized = ""
    else:
        shrinks = fidelity == "corrected" and size <= CROP_PX
        resized = (
            f" Resize to {size} x {size} (OpenCV's {'INTER_AREA' if shrinks else 'INTER_LINEAR'})."
        )
    slots = (
        []
        if fidelity == "corrected"
        else [
            "Replace the pictures of missing hands as `slr_pipeline.data.hands.published_hands` "
            "does."
        ]
    )
    depth = (
        f" Then the same boxes of the depth video, in {features.depth_hand_crops.fidelity}."
        if settings.depth
        else ""
    )
    edge = (SIDE_PX - CROP_PX) // 2
    mean, std = _listed(MEAN), _listed(STD)
    return [
        f"`crops`: box both hands, left one first. {_hand_boxes(features.hand_crops.fidelity)}"
        f"{depth}",
        index + " The same frames make `pose_flow`.",
        *slots,
        f"Cut out the middle {CROP_PX} x {CROP_PX} (from pixel {edge}).{resized}",
        f"Scale colours: (byte / 255 - m) / s with m = {mean} and s = {std} for red, green, blue"
        f"{'; grey depth is all three' if settings.depth else ''}. Order the axes as frame, hand, "
        f"colour, row, column: ({N}, {4 if settings.depth else 2}, 3, {size}, {size}).",
    ]


def _hand_boxes(fidelity: Fidelity) -> str:
    (left, left_elbow), (right, right_elbow) = ARMS
    share = SHOULDER_DISTANCES[fidelity]
    shoulders = f"keypoints {SHOULDERS[0]} and {SHOULDERS[1]}"
    box = (
        f"With wrist w ({left} left, {right} right) and elbow e ({left_elbow}, {right_elbow}) the "
        f"centre is w + {BEYOND_WRIST} (w - e), and the side {share} times the distance of the "
        f"shoulders ({shoulders})."
    )
    if fidelity == "published":
        return (
            f"{box} Half the side and the corners are cut to whole pixels and to the frame; where "
            "wrist or elbow is missing the box is the whole frame. Its shorter side is resized to "
            f"{SIDE_PX} (INTER_LINEAR) and the middle {SIDE_PX} x {SIDE_PX} kept. "
            f"{_coded('published')}"
        )
    return (
        f"{box} Points of a score below {CONFIDENT} are missing; then both wrist and elbow are "
        "those of the nearest frame that has both, and the shoulders of the frame nearest to that. "
        "The side is rounded, the corner is round(centre + 0.5 - side / 2). What lies outside the "
        "frame is black, and so is the crop of a hand that is never seen. Resize to "
        f"{SIDE_PX} x {SIDE_PX} (INTER_AREA where that shrinks, else INTER_LINEAR). "
        f"{_coded('corrected')}"
    )


def _pose_flow(features: FeatureSettings) -> list[str]:
    points = _listed([BODY_135_FROM_133[point] for point in POSE_FLOW_KEYPOINTS])
    neck = (
        f"Upper neck and head top lie at E - 0.5 (E - S) and E + 0.7 (E - S), E the middle of "
        f"keypoints {EARS[0]} and {EARS[1]}, S of {SHOULDERS[0]} and {SHOULDERS[1]}, missing "
        "unless all four are seen."
    )
    fidelity = features.pose_flow.fidelity
    missing = (
        "A missing point takes its place from the nearest frame that has it"
        if fidelity == "corrected"
        else "A missing point keeps the place where it was last seen, before that it has the first"
    )
    step = (
        "from the frame before it"
        if fidelity == "corrected"
        else "to the frame after it; the last frame repeats the step before it"
    )
    return [
        f"`pose_flow`: take 53 points, keypoints {points} (-1: upper neck, then head top). {neck} "
        f"{missing}; one that no frame has gives zeros.",
        "Divide places by the distance of upper neck and head top of the same frame (without it "
        f"zeros). Of each frame's step {step}, take the angle atan2(y, x) / pi and the length, "
        "point after point; the first frame is zeros.",
    ]


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)
