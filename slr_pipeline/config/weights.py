"""Weights of others: which a config names, where they are published, what they must be.

`PUBLISHED` is the one list of them; docs/reference/weights.md is generated from it. Nothing is
downloaded.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from slr_pipeline.config.estimators import WeightsFile
from slr_pipeline.config.experiment import Config
from slr_pipeline.config.streams import ImportedSettings

INIT = "streams.*.init"
CHECKPOINT = "features.keypoints.checkpoint"
MAPS = "features.heatmaps.checkpoint"
ONNX = "features.keypoints.model"
DETECTOR = "features.keypoints.detector"

TORCHVISION = "https://download.pytorch.org/models/"
MMPOSE = "https://download.openmmlab.com/mmpose/"
DWPOSE = "https://huggingface.co/yzd-v/DWPose/resolve/main/"
SAM_SLR = "https://github.com/jackyjsy/CVPR21Chal-SLR"
VTN = "https://github.com/m-decoster/ChaLearn-2021-LAP/releases/tag/models"

BSD, APACHE, MIT, ACADEMIC = "BSD-3-Clause", "Apache-2.0", "MIT", "academic use"


@dataclass(frozen=True)
class Published:
    """A file of weights that somebody publishes.

    Attributes:
        file: its name; empty where that is not known.
        archive: the archive that it comes in, if it does.
        where: the URL of file or archive, or the page that has it.
        licence: of the weights; what they were trained on has terms of its own.
        key: the config key that takes it.
        path: where it is put, or brought to by `slr import-checkpoint --model`.
        use: what for.
        model: the model that it is brought in for; empty where it is used as it is.
        sha256: of the file, not of its archive; its beginning where only that is known, from the
            file's name; empty where nothing is.
    """

    file: str
    where: str
    licence: str
    key: str
    path: str
    use: str
    model: str = ""
    archive: str = ""
    sha256: str = ""


def _torchvision(file: str, model: str, name: str, use: str, sha256: str) -> Published:
    where, path = f"{TORCHVISION}{file}", f"weights/{name}.safetensors"
    return Published(file, where, BSD, INIT, path, use, model, sha256=sha256)


def _sam_slr(archive: str, file: str, model: str, name: str, use: str) -> Published:
    path = f"weights/{name}.safetensors"
    return Published(file, SAM_SLR, ACADEMIC, INIT, path, f"SAM-SLR's {use}", model, archive)


def _mmpose(file: str, folder: str, config: str, sha256: str = "") -> Published:
    use = f"MMPose's `{config}`"
    where = f"{MMPOSE}{folder}{file}"
    return Published(file, where, APACHE, CHECKPOINT, f"weights/{file}", use, sha256=sha256)


def _archived(name: str, folder: str, key: str, use: str, sha256: str) -> Published:
    where, path = f"{MMPOSE}v1/projects/{folder}onnx_sdk/{name}.zip", f"weights/{name}.onnx"
    return Published(
        "end2end.onnx", where, APACHE, key, path, use, archive=f"{name}.zip", sha256=sha256
    )


# ASSUME: none of the files could be had here. A digest is what torchvision or MMPose write into the
# name of a file, and whole where several who have the file state it.
PUBLISHED: tuple[Published, ...] = (
    _torchvision(
        "r2plus1d_18-91a641e6.pth",
        "r2plus1d",
        "r2plus1d_18_kinetics",
        "Kinetics-400, all but the head, 3 channels: `rgb`, `hha`",
        "91a641e6c2ab531d1aca5f4321b4d802ec5c3babc15df855cdb6e39c6a1107c8",
    ),
    _torchvision(
        "resnet34-b627a593.pth",
        "vtn",
        "resnet34_imagenet",
        "ImageNet, the network every crop goes through: `vtn_hcpf`, `vtn_hcpf_d`",
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    ),
    _torchvision(
        "resnet18-f37072fd.pth",
        "vtn",
        "resnet18_imagenet",
        "the same for `backbone: resnet18`",
        "f37072fd",
    ),
    _sam_slr(
        "pretrained.zip",
        "slr_resnet2d+1.pth",
        "r2plus1d",
        "r2plus1d_18_csl500",
        "pre-training on 500 signs of CSL: `rgb`",
    ),
    *(
        _sam_slr("27_2.zip", file, "slgcn", f"slgcn_{stream}", f"`{stream}`, trained on train")
        for stream, file in (
            ("joint", "joint_epoch_226_9468.pt"),
            ("bone", "bone_epoch_239_9470.pt"),
            ("joint_motion", "joint_motion_248_9301.pt"),
            ("bone_motion", "bone_motion_217_9249.pt"),
        )
    ),
    *(
        _sam_slr(
            "27_2_finetuned.zip",
            f"{stream}_finetuned.pt",
            "slgcn",
            f"slgcn_{stream}_finetuned",
            f"`{stream}`, trained on train and val",
        )
        for stream in ("joint", "bone", "joint_motion", "bone_motion")
    ),
    _sam_slr("", "T_Pose_model_final.pth", "sstcn", "sstcn", "`sstcn`"),
    *(
        _sam_slr(
            "final_models_finetuned.zip",
            f"{file}_final_finetuned.pth",
            "r2plus1d",
            f"r2plus1d_{stream}_finetuned",
            f"`{stream}`, trained on train and val",
        )
        for stream, file in (
            ("rgb", "rgb"),
            ("flow", "flow_color"),
            ("depth_flow", "flow_depth"),
            ("hha", "hha"),
        )
    ),
    *(
        Published(
            "", VTN, MIT, INIT, f"weights/{stream}.safetensors", f"De Coster's `{stream}`", "vtn"
        )
        for stream in ("vtn_hcpf", "vtn_hcpf_d")
    ),
    _mmpose(
        "hrnet_w48_coco_wholebody_384x288-6e061c6a_20200922.pth",
        "top_down/hrnet/",
        "td-hm_hrnet-w48_8xb32-210e_coco-wholebody-384x288",
        "6e061c6a",
    ),
    _mmpose(
        "hrnet_w48_coco_wholebody_384x288_dark-f5726563_20200918.pth",
        "top_down/hrnet/",
        "td-hm_hrnet-w48_dark-8xb32-210e_coco-wholebody-384x288",
        "f5726563",
    ),
    _mmpose(
        "rtmpose-m_simcc-coco-wholebody_pt-aic-coco_270e-256x192-cd5e845c_20230123.pth",
        "v1/projects/rtmposev1/",
        "rtmpose-m_8xb64-270e_coco-wholebody-256x192",
        "cd5e845c",
    ),
    _mmpose(
        "rtmpose-l_simcc-coco-wholebody_pt-aic-coco_270e-384x288-eaeb96c8_20230125.pth",
        "v1/projects/rtmposev1/",
        "rtmpose-l_8xb32-270e_coco-wholebody-384x288",
        "eaeb96c8",
    ),
    _mmpose(
        "rtmw-dw-l-m_simcc-cocktail14_270e-256x192-20231122.pth",
        "v1/projects/rtmw/",
        "rtmw-m_8xb1024-270e_cocktail14-256x192",
    ),
    _mmpose(
        "rtmw-dw-x-l_simcc-cocktail14_270e-384x288-20231122.pth",
        "v1/projects/rtmw/",
        "rtmw-l_8xb320-270e_cocktail14-384x288",
    ),
    _mmpose(
        "rtmw-x_simcc-cocktail14_pt-ucoco_270e-384x288-f840f204_20231122.pth",
        "v1/projects/rtmw/",
        "rtmw-x_8xb320-270e_cocktail14-384x288",
        "f840f204",
    ),
    Published(
        "wholebody_hrnet_w48_384x384.pth",
        SAM_SLR,
        ACADEMIC,
        MAPS,
        "weights/wholebody_hrnet_w48_384x384.pth",
        "SAM-SLR's heat-maps for `sstcn`",
    ),
    Published(
        "dw-ll_ucoco_384.onnx",
        f"{DWPOSE}dw-ll_ucoco_384.onnx",
        APACHE,
        ONNX,
        "weights/dw-ll_ucoco_384.onnx",
        "DWPose-l, 384x288",
        sha256="724f4ff2439ed61afb86fb8a1951ec39c6220682803b4a8bd4f598cd913b1843",
    ),
    _archived(
        "rtmw-dw-x-l_simcc-cocktail14_270e-256x192_20231122",
        "rtmw/",
        ONNX,
        "RTMW-l, 256x192",
        "",
    ),
    _archived(
        "rtmw-dw-x-l_simcc-cocktail14_270e-384x288_20231122",
        "rtmw/",
        ONNX,
        "RTMW-l, 384x288",
        "bd033156e5104c4f5d2edfe0453e02661e30a2f3da453ec93c8764d561b83054",
    ),
    _archived(
        "yolox_m_8xb8-300e_humanart-c2c7a14a",
        "rtmposev1/",
        DETECTOR,
        "YOLOX-m, persons, 640x640",
        "3dea6513388889f0fff4b77bf7a26013600321b9eb9ceb0e9a400a82572f5f23",
    ),
)


@dataclass(frozen=True)
class Named:
    """A file of weights that a config names: key, path, what its SHA-256 must be if that is said.

    `model` is what `slr import-checkpoint` makes it for, empty for files that are used as they are.
    """

    key: str
    path: str
    sha256: str | None
    model: str = ""


def named_weights(config: Config) -> Iterator[Named]:
    """The weights that a config names: those of the pose estimator, then those of the streams."""
    for feature, section in (
        ("keypoints", config.features.keypoints),
        ("heatmaps", config.features.heatmaps),
    ):
        for key, value in section:
            if isinstance(value, WeightsFile):
                yield Named(f"features.{feature}.{key}", value.path, value.sha256)
    for name, stream in config.streams.items():
        if not isinstance(stream, ImportedSettings) and stream.init is not None:
            yield Named(f"streams.{name}.init", stream.init.path, stream.init.sha256, stream.model)


def missing(named: Named) -> str | None:
    """What is wrong, and what to do, when the file is not there."""
    if os.path.isfile(named.path):
        return None
    return f"{named.key}.path: {named.path} is not there; {how_to_get(named.path, named.model)}"


def mismatch(named: Named, found: str) -> str | None:
    """What is wrong with a file of this SHA-256, by the config or by what is published."""
    if named.sha256 is not None and found != named.sha256:
        return (
            f"{named.key}.sha256: {named.path} has {found}, expected {named.sha256}; mend the key, "
            "or get the file again"
        )
    expected = published_sha256(named.path)
    if not found.startswith(expected):
        return (
            f"{named.key}.path: {named.path} has SHA-256 {found}, the published file {expected}; "
            f"{how_to_get(named.path)}, or give another file another name"
        )
    return None


def published_sha256(path: str) -> str:
    """The SHA-256 of the file that is published under this name, its beginning, or nothing."""
    name = os.path.basename(path)
    known = {
        known.file if known.model else os.path.basename(known.path): known.sha256
        for known in PUBLISHED
    }
    return known.get(name, "")


def how_to_get(path: str, model: str = "") -> str:
    """What to do about weights that are not there, for the end of a message.

    `model` is the stream's, for weights that `slr import-checkpoint` makes.
    """
    names = {os.path.basename(known.path): known for known in PUBLISHED}
    known = names.get(os.path.basename(path))
    if known is None:
        made = f"`slr import-checkpoint --model {model} SOURCE {path}` makes it of" if model else ""
        return f"{made or 'get'} a file of docs/reference/weights.md, or mend the path"
    got = f"get {known.archive or known.file or 'its file'} from {known.where} ({known.licence})"
    if known.model:
        source = known.file or "SOURCE"
        return f"{got} and run `slr import-checkpoint --model {known.model} {source} {path}`"
    return f"{got} and put {f'its {known.file}' if known.archive else 'it'} there"
