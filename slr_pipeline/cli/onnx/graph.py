"""A model as an ONNX graph, and how far that is from the model; arrays only, no files."""

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
"""Largest difference that is let through, see `largest_difference`."""

_INSTALL: Final = "pip install -c requirements/constraints.txt -e '.[onnx]'"


def to_onnx(
    model: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], facts: Mapping[str, Any]
) -> bytes:
    """The bytes of an ONNX file of `model`, of any batch size; equal arguments give equal bytes.

    Args:
        model: takes the inputs and gives logits (B, K). It is left in eval mode.
        inputs: an example, (B, ...) each.
        names: of the inputs. The output is `logits`.
        facts: what the file is to say of itself, as JSON texts by key.

    Raises SlrError where onnx or onnxruntime is not installed.
    """
    onnx = _installed("onnx")
    written = io.BytesIO()
    with warnings.catch_warnings():
        # Checks of shapes in the models are traced as what they are in this example: the batch is
        # the only axis that may change, and none of them is about it.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(),
            tuple(inputs),
            written,  # type: ignore[arg-type]  # the tracing exporter takes it
            # ASSUME: the tracing exporter stays in torch; the newer one needs onnxscript as well.
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
    """The largest difference of a logit of ONNX Runtime from torch's; NaN where one is not finite.

    `content` is what `to_onnx` gives of `model`; `batches` are inputs of one or more batches. With
    `relative` it is in units of the largest logit of the batch, where this is above 1: what is far
    from all that a model has learnt may have logits of any size, and float32 has seven digits.

    Raises SlrError where onnxruntime is not installed.
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
        (found,) = session.run(
            ["logits"], {name: part.numpy() for name, part in zip(names, batch, strict=True)}
        )
        if found.shape != expected.shape:
            raise SlrError(f"logits {found.shape} of ONNX Runtime, {expected.shape} of torch")
        with np.errstate(invalid="ignore"):
            unit = np.maximum(1, np.abs(expected).max()) if relative else 1
            largest = float(np.maximum(largest, np.abs(found - expected).max() / unit))  # keeps NaN
    return largest


def versions() -> dict[str, str]:
    """What the graph is made with and checked by; SlrError where some of it is not installed."""
    names = ("slr_pipeline", "torch", "onnx", "onnxruntime")
    for name in names:
        _installed(name)
    return {name: importlib.metadata.version(name) for name in names}


def _installed(name: str) -> Any:
    """The package of that name, or an SlrError that says how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SlrError(f"--onnx needs onnx and onnxruntime ({error}): {_INSTALL}") from error
