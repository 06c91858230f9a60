"""Convert a model to an ONNX graph and compare their logits; arrays only, no files."""

import importlib
import importlib.metadata
import io
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from slr_pipeline.errors import SlrError

OPSET: Final = 17
TOLERANCE: Final = 1e-4
"""Largest accepted difference, see `largest_difference`."""

_INSTALL: Final = "pip install -c requirements/constraints.txt -e '.[onnx]'"


def to_onnx(
    model: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], facts: Mapping[str, Any]
) -> bytes:
    """Convert `model` to the bytes of an ONNX file for any batch size; deterministic.

    `inputs` are an example, (B, ...) each; the output is `logits` (B, K). `facts` are metadata,
    stored as JSON by key. The model stays in eval mode. SlrError if onnx is not installed.
    """
    onnx = _installed("onnx")
    written = io.BytesIO()
    with warnings.catch_warnings():
        # Tracing freezes the shape checks of the models. Only the batch size varies, and no check
        # depends on it.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            tuple(inputs),
            written,  # type: ignore[arg-type]  # the tracing exporter accepts it
            # ASSUME: torch keeps the tracing exporter; the newer one also needs onnxscript.
            dynamo=False,
            opset_version=OPSET,
            input_names=list(names),
            output_names=["logits"],
            dynamic_axes={name: {0: "batch"} for name in (*names, "logits")},
        )
    graph = onnx.load_model_from_string(written.getvalue())
    for key, value in sorted(facts.items()):
        text = json.dumps(value, ensure_ascii=False, sort_keys=True)
        graph.metadata_props.add(key=key, value=text)
    content: bytes = graph.SerializeToString(deterministic=True)
    onnx.checker.check_model(content, full_check=True)
    return content


def largest_difference(
    content: bytes,
    model: nn.Module,
    batches: Iterable[Sequence[Tensor]],
    *,
    relative: bool = False,
) -> float:
    """Largest difference between logits of ONNX Runtime and PyTorch; NaN if one is not finite.

    `content` is the result of `to_onnx` for `model`; `batches` are inputs. With `relative` the
    difference is divided by the largest logit of the batch if that is above 1: logits of inputs far
    from the training data can be huge, and float32 has seven digits.

    Raises SlrError if onnxruntime is not installed.
    """
    runtime = _installed("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    model.eval()
    largest = 0.0
    for batch in batches:
        with torch.no_grad():
            expected = model(*batch).numpy()
        (logits,) = session.run(
            ["logits"], {name: part.numpy() for name, part in zip(names, batch, strict=True)}
        )
        if logits.shape != expected.shape:
            raise SlrError(f"ONNX Runtime returns logits {logits.shape}, PyTorch {expected.shape}")
        with np.errstate(invalid="ignore"):
            unit = np.maximum(1, np.abs(expected).max()) if relative else 1
            # np.maximum keeps NaN.
            largest = float(np.maximum(largest, np.abs(logits - expected).max() / unit))
    return largest


def versions() -> dict[str, str]:
    """Versions of the packages that make and check the graph; SlrError if one is missing."""
    names = ("slr_pipeline", "torch", "onnx", "onnxruntime")
    for name in names:
        _installed(name)
    return {name: importlib.metadata.version(name) for name in names}


def _installed(name: str) -> Any:
    """Import a package, or raise an SlrError that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SlrError(f"--onnx needs onnx and onnxruntime ({error}): {_INSTALL}") from error
