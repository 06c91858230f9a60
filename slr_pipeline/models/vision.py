"""torchvision: the one module of the package that imports it.

PyPI's torchvision is built for CUDA. Beside a CPU build of torch its compiled operators do not
load, and its import stops at the two it describes to torch without looking: nms and qnms. Declared
first, without a kernel, they let the import pass: models and transforms work, and whoever calls an
operator is told that it is missing. Where torchvision imports by itself, none of this happens.
"""

import sys

import torch

try:
    import torchvision
except RuntimeError as error:
    if "operator torchvision::" not in str(error):
        raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]  # what the failed import left
    # A library takes its operators with it when it is collected: the name keeps it.
    DECLARED = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        signature = f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        DECLARED.define(signature)  # type: ignore[no-untyped-call]
    import torchvision

ImageBlock = torchvision.models.resnet.BasicBlock
"""Two 3x3 convolutions and a shortcut: the block of ResNet-18 and ResNet-34."""

VideoBlock = torchvision.models.video.resnet.BasicBlock
"""Two convolutions of a given kind and a shortcut: the block of the 18-layer video networks."""

Conv2Plus1D = torchvision.models.video.resnet.Conv2Plus1D
"""A 3x3x3 convolution as one over the picture and one over frames."""
