"""A top-down whole-body network of MMPose 1.3: its config, its weights, its answers.

MMPose is imported without what it names and pose estimation never calls: mmcv's compiled operators,
mmdet and xtcocotools, which do not install beside a current torch and numpy, and torchvision, which
does not load beside a CPU build of torch. Stand-ins take their places while it is imported.
"""

import difflib
import importlib.metadata
import importlib.util
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slr_pipeline.config.estimators import MmposeSettings, WeightsFile
from slr_pipeline.errors import ArtifactError, ConfigError, SlrError
from slr_pipeline.io.models import check_sha256, read_foreign
from slr_pipeline.pose.topdown import Answer, Picture
from slr_pipeline.skeleton import FLIP_133
from slr_pipeline.training.device import choose_device

VERSION: Final = "1.3.2"

_INSTALL: Final = (
    "pip install -c requirements/constraints.txt -e '.[mmpose]' and then "
    "pip install --no-deps -r requirements/mmpose.txt"
)
_STAND_INS: Final = (
    *("mmcv.ops", "mmdet", "mmdet.utils", "munkres", "torchvision", "torchvision.transforms"),
    *("xtcocotools", "xtcocotools.coco", "xtcocotools.cocoeval", "xtcocotools.mask"),
)


class MMPoseNetwork:
    """The network of a config with the weights of a checkpoint, on its device, for evaluation.

    SlrError where MMPose is not installed, ConfigError for a config that is not of a top-down
    network of 133 keypoints, ArtifactError for a checkpoint that is damaged or does not fit it.
    """

    def __init__(self, settings: MmposeSettings, checkpoint: WeightsFile, device: str) -> None:
        _import_mmpose()
        from mmpose.structures import PoseDataSample

        self.device = choose_device(device)
        self.weights_sha256 = check_sha256(checkpoint.path, checkpoint.sha256)
        model = _build(_read_config(settings.config))
        _load(model, checkpoint.path, settings.config)
        self._model = model.to(self.device).eval()
        self._half = settings.precision == "fp16"
        self._flip = settings.flip_average
        self._sample = PoseDataSample(metainfo={"flip_indices": list(FLIP_133)})
        self._test_cfg = {**self._model.test_cfg, "flip_test": self._flip}
        width, height = self._model.head.decoder.input_size
        self.size = int(width), int(height)
        """(W, H) of the pictures that the network was trained with."""

    def has_maps(self) -> bool:
        """Whether the head gives heat-maps."""
        from mmpose.models.heads import HeatmapHead

        return isinstance(self._model.head, HeatmapHead)

    @torch.inference_mode()
    def answer(self, pictures: Sequence[Picture], *, maps: bool) -> list[Answer]:
        """The answer to each RGB picture (H, W, 3) of `size`; with its heat-maps, if asked for.

        It is decoded by the config's own codec: a quarter of a cell, DARK, UDP, or SimCC.
        """
        inputs = self._inputs(pictures)
        features: Any = self._features(inputs)
        if self._flip:
            features = [features, self._features(inputs.flip(-1))]
        test_cfg = {**self._test_cfg, "output_heatmaps": maps}
        found = self._model.head.predict(features, [self._sample] * len(pictures), test_cfg)
        instances, fields = found if maps else (found, [None] * len(found))
        return [
            Answer(
                np.asarray(each.keypoints[0], np.float32),
                np.asarray(each.keypoint_scores[0], np.float32),
                None if field is None else field.heatmaps.cpu().numpy(),
            )
            for each, field in zip(instances, fields, strict=True)
        ]

    @torch.inference_mode()
    def maps(self, pictures: Sequence[Picture], *, flip: bool) -> Tensor:
        """Heat-maps (B, 133, h, w) of RGB pictures (H, W, 3), all of one size, any.

        With `flip` those of the mirror images, flipped back, with left and right exchanged.
        """
        inputs = self._inputs(pictures)
        maps: Tensor = self._model.head(self._features(inputs.flip(-1) if flip else inputs))
        return maps.flip(-1)[:, list(FLIP_133)] if flip else maps

    def cells_px(self) -> NDArray[np.float64]:
        """Pixels of a picture a cell of the maps, in x and y: cell h lies at pixel h times this."""
        codec = self._model.head.decoder
        size, cells = np.asarray(codec.input_size), np.asarray(codec.heatmap_size)
        if type(codec).__name__ == "UDPHeatmap":  # the corners' centres lie on each other
            return np.asarray((size - 1) / (cells - 1), np.float64)
        return np.asarray(size / cells, np.float64)

    def _inputs(self, pictures: Sequence[Picture]) -> Tensor:
        """RGB pictures (B, 3, H, W), normalised as the config says; MMPose's pictures are BGR."""
        stacked = torch.from_numpy(np.stack(pictures)[..., ::-1].copy()).permute(0, 3, 1, 2)
        data = {"inputs": list(stacked), "data_samples": [self._sample] * len(pictures)}
        inputs: Tensor = self._model.data_preprocessor(data, False)["inputs"]
        return inputs

    def _features(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """What the head is given, in single precision: decoding has no use for less."""
        half = torch.autocast(self.device.type, dtype=torch.float16, enabled=self._half)
        with half, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of old names in MMPose
            features = self._model.extract_feat(inputs)
        return tuple(each.float() for each in features)


def config_names() -> dict[str, Path]:
    """The whole-body configs in MMPose's wheel by name.

    Without DWPose's, which are of trainings: its networks are those of the rtmpose configs.
    """
    package = importlib.util.find_spec("mmpose")
    if package is None or package.origin is None:
        return {}
    folder = Path(package.origin).parent / ".mim/configs/wholebody_2d_keypoint"
    paths = sorted(folder.rglob("*.py"))
    return {path.stem: path for path in paths if "dwpose" not in path.parts}


def _read_config(name: str) -> dict[str, Any]:
    """The model of a config: the name of one in the wheel, or a file's path."""
    from mmengine.config import Config

    known = config_names()
    path = Path(name) if name.endswith(".py") else known.get(name)
    if path is None:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0)
        raise ConfigError(
            f"features.keypoints.config: {name} is none of the {len(known)} whole-body configs of "
            f"mmpose {VERSION}, nearest: {', '.join(near)}; give one of them or a file *.py"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # setuptools of its pkg_resources
            model = Config.fromfile(str(path), import_custom_modules=False).to_dict().get("model")
    except Exception as error:  # a config is a program: it may raise anything
        raise ConfigError(
            f"features.keypoints.config: {name} cannot be read ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}); check the file"
        ) from error
    found = (model or {}).get("type"), (model or {}).get("head", {}).get("out_channels")
    if model is None or found != ("TopdownPoseEstimator", 133):
        raise ConfigError(
            f"features.keypoints.config: {name} has the model {found[0]} of {found[1]} keypoints, "
            "expected a TopdownPoseEstimator of 133; give a whole-body config of MMPose 1.3"
        )
    return dict(_without_scopes(model))


def _build(config: dict[str, Any]) -> Any:
    """The network of a config, its weights random."""
    from mmengine.registry import DefaultScope
    from mmpose.models import build_pose_estimator

    with warnings.catch_warnings(), DefaultScope.overwrite_default_scope("mmpose"):
        warnings.simplefilter("ignore")
        return build_pose_estimator(config)


def _without_scopes(values: Any) -> Any:
    """A config that builds everything from MMPose, which has copies of what it names of mmdet."""
    if isinstance(values, dict):
        return {key: _without_scopes(each) for key, each in values.items() if key != "_scope_"}
    return values


def _load(model: torch.nn.Module, path: str, config: str) -> None:
    """Give a model the weights of a file, every one of them or an ArtifactError."""
    state = {name.removeprefix("module."): value for name, value in read_foreign(path).items()}
    parts = ("backbone.", "head.", "keypoint_head.")
    if not any(name.startswith(parts) for name in state):  # SAM-SLR's copy of HRNet
        state = {
            f"{'head' if name.startswith('final_layer.') else 'backbone'}.{name}": value
            for name, value in state.items()
        }
    try:
        missing, unknown = model.load_state_dict(state, strict=False)
        wrong = [f"{len(missing)} missing ({', '.join(missing[:3])})"] if missing else []
        wrong += [f"{len(unknown)} unknown ({', '.join(unknown[:3])})"] if unknown else []
    except RuntimeError as error:  # of other shapes, a line each
        shapes = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        wrong = [f"{len(shapes)} of another shape ({shapes[0]})"]
    if wrong:
        raise ArtifactError(
            f"{path}: its {len(state)} weights are not those of config {config}: "
            f"{'; '.join(wrong)}; take the checkpoint that was trained with this config"
        )


def _import_mmpose() -> None:
    try:
        found = importlib.metadata.version("mmpose")
    except importlib.metadata.PackageNotFoundError:
        found = "none"
    if found != VERSION:
        raise SlrError(f"the estimator needs mmpose {VERSION}, found {found}: {_INSTALL}")
    try:
        with _stand_ins(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("mmpose.models")
    except ImportError as error:
        raise SlrError(f"mmpose cannot be imported ({error}): {_INSTALL}") from error


class _StandIn(types.ModuleType):
    """A module that has a class of every name."""

    __path__: list[str] = []  # noqa: RUF012  # a package without modules of its own

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})


@contextmanager
def _stand_ins() -> Iterator[None]:
    """Modules that MMPose imports and we do not need; those that are loaded already stay."""
    names = [name for name in _STAND_INS if name not in sys.modules]
    sys.modules.update({name: _StandIn(name) for name in names})
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]
