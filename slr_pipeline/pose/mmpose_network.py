"""A top-down whole-body network of MMPose 1.3: config, weights, predictions.

MMPose imports packages that pose estimation never calls: mmcv's compiled operators, mmdet and
xtcocotools, which do not install beside a current torch and numpy, and torchvision, which does not
load beside a CPU build of torch. Stand-ins replace them during the import.
"""

import difflib
import importlib.metadata
import importlib.util
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from slr_pipeline.config.estimators import MmposeSettings, WeightsFile
from slr_pipeline.errors import ArtifactError, ConfigError, SlrError
from slr_pipeline.io.foreign.weights import check_sha256, read_foreign
from slr_pipeline.pose.stand_ins import stand_ins
from slr_pipeline.pose.topdown import Prediction
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

    SlrError where MMPose is not installed, ConfigError for a config of anything but a top-down
    network of 133 keypoints, ArtifactError for a checkpoint that is damaged or of another network.
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
        """(W, H) of the training pictures."""

    def has_maps(self) -> bool:
        """Whether the network gives heat-maps."""
        from mmpose.models.heads import HeatmapHead

        return isinstance(self._model.head, HeatmapHead)

    @torch.inference_mode()
    def predict(self, pictures: Sequence[NDArray[np.uint8]], *, maps: bool) -> list[Prediction]:
        """The prediction for each RGB picture (H, W, 3) of `size`; `maps`: with its heat-maps.

        The config's own codec decodes it: quarter of a cell, DARK, UDP, or SimCC.
        """
        inputs = self._inputs(pictures)
        features: Any = self._features(inputs)
        if self._flip:
            features = [features, self._features(inputs.flip(-1))]
        test_cfg = {**self._test_cfg, "output_heatmaps": maps}
        predicted = self._model.head.predict(features, [self._sample] * len(pictures), test_cfg)
        instances, fields = predicted if maps else (predicted, [None] * len(predicted))
        return [
            Prediction(
                np.asarray(each.keypoints[0], np.float32),
                np.asarray(each.keypoint_scores[0], np.float32),
                None if field is None else field.heatmaps.cpu().numpy(),
            )
            for each, field in zip(instances, fields, strict=True)
        ]

    @torch.inference_mode()
    def maps(self, pictures: Sequence[NDArray[np.uint8]], *, flip: bool) -> Tensor:
        """Heat-maps (B, 133, h, w) of RGB pictures (H, W, 3) of any one size.

        `flip`: those of the mirrored pictures, flipped back, with left and right exchanged.
        """
        inputs = self._inputs(pictures)
        maps: Tensor = self._model.head(self._features(inputs.flip(-1) if flip else inputs))
        return maps.flip(-1)[:, list(FLIP_133)] if flip else maps

    def cells_px(self) -> NDArray[np.float64]:
        """Pixels per cell of the heat-maps, in x and y: cell h lies at pixel h times this."""
        codec = self._model.head.decoder
        size, cells = np.asarray(codec.input_size), np.asarray(codec.heatmap_size)
        if type(codec).__name__ == "UDPHeatmap":  # the centres of corner cells and pixels coincide
            return np.asarray((size - 1) / (cells - 1), np.float64)
        return np.asarray(size / cells, np.float64)

    def _inputs(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Pictures (B, 3, H, W), normalised by the config; MMPose expects BGR."""
        stacked = torch.from_numpy(np.stack(pictures)[..., ::-1].copy()).permute(0, 3, 1, 2)
        data = {"inputs": list(stacked), "data_samples": [self._sample] * len(pictures)}
        inputs: Tensor = self._model.data_preprocessor(data, False)["inputs"]
        return inputs

    def _features(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The input of the head, in single precision, which decoding needs."""
        half = torch.autocast(self.device.type, dtype=torch.float16, enabled=self._half)
        with half, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # for old names in MMPose
            features = self._model.extract_feat(inputs)
        return tuple(each.float() for each in features)


def config_names() -> dict[str, Path]:
    """The whole-body configs in MMPose's wheel by name.

    Without DWPose's, which describe its distillation: its networks have the rtmpose configs.
    """
    package = importlib.util.find_spec("mmpose")
    if package is None or package.origin is None:
        return {}
    folder = Path(package.origin).parent / ".mim/configs/wholebody_2d_keypoint"
    paths = sorted(folder.rglob("*.py"))
    return {path.stem: path for path in paths if "dwpose" not in path.parts}


def _read_config(name: str) -> dict[str, Any]:
    """The model of a config, given by its name in the wheel or by a file's path."""
    from mmengine.config import Config

    names = config_names()
    path = Path(name) if name.endswith(".py") else names.get(name)
    if path is None:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0)
        raise ConfigError(
            f"features.keypoints.config: {name} is none of the {len(names)} whole-body configs of "
            f"mmpose {VERSION}, nearest: {', '.join(near)}; use one of them or a file *.py"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # setuptools about pkg_resources
            model = Config.fromfile(str(path), import_custom_modules=False).to_dict().get("model")
    except Exception as error:  # a config is a program: it may raise anything
        raise ConfigError(
            f"features.keypoints.config: {name} cannot be read ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:200]}); check the file"
        ) from error
    kind = (model or {}).get("type"), (model or {}).get("head", {}).get("out_channels")
    if model is None or kind != ("TopdownPoseEstimator", 133):
        raise ConfigError(
            f"features.keypoints.config: {name} has the model {kind[0]} of {kind[1]} keypoints, "
            "expected a TopdownPoseEstimator of 133; use a whole-body config of MMPose 1.3"
        )
    return dict(_without_scopes(model))


def _build(config: dict[str, Any]) -> Any:
    """The network of a config with random weights."""
    from mmengine.registry import DefaultScope
    from mmpose.models import build_pose_estimator

    with warnings.catch_warnings(), DefaultScope.overwrite_default_scope("mmpose"):
        warnings.simplefilter("ignore")
        return build_pose_estimator(config)


def _without_scopes(values: Any) -> Any:
    """A config without scopes: MMPose has its own copies of the mmdet parts it names."""
    if isinstance(values, dict):
        return {key: _without_scopes(each) for key, each in values.items() if key != "_scope_"}
    return values


def _load(model: torch.nn.Module, path: str, config: str) -> None:
    """Load all weights of a file into a model; ArtifactError unless all fit."""
    state = {name.removeprefix("module."): value for name, value in read_foreign(path).items()}
    parts = ("backbone.", "head.", "keypoint_head.")
    if not any(name.startswith(parts) for name in state):  # SAM-SLR's copy of HRNet
        state = {
            f"{'head' if name.startswith('final_layer.') else 'backbone'}.{name}": value
            for name, value in state.items()
        }
    # Late: it imports torchvision, which mmpose must not see before its stand-in.
    from slr_pipeline.models.published import refuse, unusable

    ours = model.state_dict()
    floats = {n: v for n, v in state.items() if n in ours and ours[n].is_floating_point()}
    refuse(f"{path}: its weights give no keypoints; copy the file again", unusable(floats))
    try:
        missing, unknown = model.load_state_dict(state, strict=False)
        wrong = [f"{len(missing)} missing ({', '.join(missing[:3])})"] if missing else []
        wrong += [f"{len(unknown)} unknown ({', '.join(unknown[:3])})"] if unknown else []
    except RuntimeError as error:  # one line per wrong shape
        shapes = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        wrong = [f"{len(shapes)} of another shape ({shapes[0]})"]
    if wrong:
        raise ArtifactError(
            f"{path}: its {len(state)} weights are not those of config {config}: "
            f"{'; '.join(wrong)}; use the checkpoint that was trained with this config"
        )


def _import_mmpose() -> None:
    try:
        installed = importlib.metadata.version("mmpose")
    except importlib.metadata.PackageNotFoundError:
        installed = "none"
    if installed != VERSION:
        raise SlrError(f"the estimator needs mmpose {VERSION}, found {installed}: {_INSTALL}")
    try:
        with stand_ins(*_STAND_INS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("mmpose.models")
    except ImportError as error:
        raise SlrError(f"mmpose cannot be imported ({error}): {_INSTALL}") from error
