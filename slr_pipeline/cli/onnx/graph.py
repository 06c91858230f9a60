"""Convert a model to an ONNX graph and compare their logits; arrays only, no files."""

import copy
import importlib
import importlib.metadata
import io
import json
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from slr_pipeline.errors import SlrError

OPSET: Final = 17
FACTOR: Final = 10.0
"""ONNX Runtime may differ from float64 by this many times the difference of PyTorch's float32."""
LEAST, MOST = 1e-4, 1e-2
"""Bounds of the accepted difference, of logits in units of their spread and of probabilities."""

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


@dataclass(frozen=True)
class Differences:
    """Largest differences of ONNX Runtime's float32 logits from PyTorch's float64 ones.

    `logits` is in units of the spread of a batch, the mean over its samples of the standard
    deviation of the float64 logits; `own_` are the same differences of PyTorch's float32. NaN where
    a logit is not finite. `same_top5`: the five most likely classes are equal, except classes that
    PyTorch's float32 cannot tell apart.
    """

    logits: float
    own_logits: float
    probabilities: float
    own_probabilities: float
    same_top5: bool

    def acceptable(self) -> bool:
        """Whether ONNX Runtime is about as exact as PyTorch."""
        return (
            self.logits <= _limit(self.own_logits)
            and self.probabilities <= _limit(self.own_probabilities)
            and self.same_top5
        )


def _limit(own: float) -> float:
    return min(MOST, max(LEAST, FACTOR * own))


def differences(
    content: bytes, model: nn.Module, batches: Iterable[Sequence[Tensor]]
) -> Differences:
    """Compare ONNX Runtime's logits with PyTorch's.

    `content` is the result of `to_onnx` for `model`; `batches` are inputs. SlrError if onnxruntime
    is not installed.
    """
    runtime = _installed("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    model.eval()
    exact = copy.deepcopy(model).double()
    found = []
    for batch in batches:
        with torch.no_grad():
            own = model(*batch).double()
            expected = exact(*(part.double() for part in batch))
        given = {name: part.numpy() for name, part in zip(names, batch, strict=True)}
        logits = torch.from_numpy(session.run(["logits"], given)[0]).double()
        if logits.shape != expected.shape:
            raise SlrError(
                f"ONNX Runtime returns logits {tuple(logits.shape)}, PyTorch "
                f"{tuple(expected.shape)}"
            )
        found.append(_differences(logits, own, expected))
    return Differences(
        _largest(one.logits for one in found),
        _largest(one.own_logits for one in found),
        _largest(one.probabilities for one in found),
        _largest(one.own_probabilities for one in found),
        all(one.same_top5 for one in found),
    )


def _differences(logits: Tensor, own: Tensor, expected: Tensor) -> Differences:
    """The differences of one batch (B, K)."""
    spread = expected.std(dim=1).mean().clamp(min=torch.finfo().tiny)
    by_logits, by_own = (float(((x - expected).abs() / spread).max()) for x in (logits, own))
    shares = expected.softmax(dim=1)
    by_share, own_share = (float((x.softmax(1) - shares).abs().max()) for x in (logits, own))
    count = min(5, expected.shape[1])
    best = expected.topk(count).values
    picked = expected.gather(1, logits.topk(count).indices)
    same = bool(((best - picked).abs() <= _limit(by_own) * spread).all())
    return Differences(by_logits, by_own, by_share, own_share, same)


def _largest(values: Iterable[float]) -> float:
    return float(np.max([*values], initial=0.0))  # keeps NaN


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
