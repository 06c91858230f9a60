"""A network in an ONNX file, run by ONNX Runtime, on a GPU where there is one."""

import os
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from slr_pipeline.config.estimators import WeightsFile
from slr_pipeline.errors import ArtifactError, ConfigError, SlrError
from slr_pipeline.io.foreign.weights import check_sha256
from slr_pipeline.training.device import choose_device

_INSTALL: Final = "pip install -c requirements/constraints.txt -e '.[onnx]'"
_TYPES: Final = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxSession:
    """A network with one input: pictures (B, 3, H, W) of fixed H and W.

    SlrError where ONNX Runtime is not installed, ConfigError for a GPU that it cannot use,
    ArtifactError for a file that is damaged or has another SHA-256 or other inputs.
    """

    def __init__(self, file: WeightsFile, device: str) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise SlrError(f"the estimator needs onnxruntime ({error}): {_INSTALL}") from error
        self.version = str(onnxruntime.__version__)
        self.sha256 = check_sha256(file.path, file.sha256)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
        providers = _providers(device, onnxruntime.get_available_providers())
        try:
            self._session = onnxruntime.InferenceSession(file.path, options, providers=providers)
        except Exception as error:  # ONNX Runtime has its own class for each kind of damage
            raise ArtifactError(
                f"{file.path}: not a complete ONNX file ({' '.join(str(error).split())[:200]}); "
                "copy it again from its source"
            ) from error
        if device.startswith("cuda") and "CPU" in self._session.get_providers()[0]:
            raise ConfigError(
                f"device {device}: ONNX Runtime cannot use the GPU; repair the driver or "
                "CUDA_VISIBLE_DEVICES, or use device: auto or cpu"
            )
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 else []
        kind = inputs[0].type if len(inputs) == 1 else ""
        fixed = len(shape) == 4 and shape[1] == 3 and all(isinstance(n, int) for n in shape[2:])
        if not fixed or kind not in _TYPES:
            found = ", ".join(f"{each.name} {each.shape} {each.type}" for each in inputs)
            raise ArtifactError(
                f"{file.path}: expected one input (batch, 3, H, W) of fixed H and W, found "
                f"{found}; use a file that docs/how-to/estimators.md names"
            )
        self._input, self._type = inputs[0].name, _TYPES[kind]
        self.size = int(shape[3]), int(shape[2])
        """(W, H) of its pictures."""
        self.batch_size = int(shape[0]) if isinstance(shape[0], int) else None
        """Number of pictures per run, None where any number is accepted."""
        black = np.zeros((self.batch_size or 1, 3, *shape[2:]), np.float32)
        self.output_shapes = [output.shape for output in self.run(black)]
        """Shapes of its outputs for one picture, or for a fixed batch."""

    def run(self, inputs: NDArray[np.float32]) -> list[NDArray[Any]]:
        """The outputs for pictures (B, 3, H, W); 16-bit floats become 32-bit ones."""
        outputs = self._session.run(None, {self._input: inputs.astype(self._type, copy=False)})
        return [
            output.astype(np.float32) if output.dtype == np.float16 else output
            for output in outputs
        ]


def _providers(device: str, available: list[str]) -> list[Any]:
    """Execution providers: a GPU where there is one, unless `device` is cpu."""
    chosen = choose_device(device)
    missing = "CUDAExecutionProvider" not in available
    if chosen.type == "cpu" or (device == "auto" and missing):
        return ["CPUExecutionProvider"]
    if missing:
        raise ConfigError(
            f"device {device}: this ONNX Runtime has {', '.join(available)}; install "
            "onnxruntime-gpu in its place, or use device: auto or cpu"
        )
    # Allocate what is needed instead of powers of two.
    cuda = {"device_id": chosen.index, "arena_extend_strategy": "kSameAsRequested"}
    return [("CUDAExecutionProvider", cuda), "CPUExecutionProvider"]
