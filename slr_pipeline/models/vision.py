"""torchvision: the one module of the package that imports it, late: it takes a second of CPU time.

PyPI's torchvision is built for CUDA. With a CPU build of torch its compiled operators do not load,
and its import fails at two of them: nms and qnms. Declared first, without a kernel, they let the
import pass: models and transforms work, and calling an operator raises an error. If torchvision
imports without help, nothing is declared.
"""

import sys

import torch

try:
    import torchvision.transforms.v2
except RuntimeError as error:
    if "operator torchvision::" not in str(error):
        raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # partial modules of the failed import
    # Operators disappear when their library is garbage-collected: the constant keeps it.
    DECLARED = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        signature = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        DECLARED.define(signature)  # type: ignore[no-untyped-call]
    import torchvision.transforms.v2

ImageBlock = torchvision.models.resnet.BasicBlock
"""Two 3x3 convolutions and a shortcut: the block of ResNet-18 and ResNet-34."""

transforms = torchvision.transforms.v2.functional
"""Operations on pictures (..., C, H, W)."""
