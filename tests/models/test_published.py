"""Weights of the authors and of torchvision, through the command line into our models.

The references are plain networks that read weights under their released names.
"""

import hashlib
import logging
import math
import os
import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from slr_pipeline.cli.main import main
from slr_pipeline.errors import ArtifactError, ConfigError, DataError
from slr_pipeline.io.foreign.weights import check_sha256
from slr_pipeline.io.models import load_weights, save_model, save_weights
from slr_pipeline.models.published import KINDS, to_published
from slr_pipeline.models.r2plus1d import R2Plus1D
from slr_pipeline.models.slgcn import SLGCN
from slr_pipeline.models.sstcn import SSTCN
from slr_pipeline.models.vision import torchvision
from slr_pipeline.models.vtn import VTN
from slr_pipeline.skeleton import BONES_27
from slr_pipeline.training.start_weights import import_weights, start_from
from tests.models.slgcn_reference import logits as slgcn_logits
from tests.models.test_sstcn import reference as sstcn_logits
from tests.models.test_vtn import reference as vtn_logits
from tests.models.test_vtn import small as small_vtn
from tests.shared_data import published_keys

Weights = dict[str, Tensor]
Run = Callable[..., tuple[int, str]]

SMALL: dict[str, Callable[[], nn.Module]] = {
    "slgcn": lambda: SLGCN(classes=5, joints=27, bones=BONES_27, width=8, groups=4),
    "sstcn": lambda: SSTCN(classes=5, frames=4, joints=3, width=6),
    "r2plus1d": lambda: R2Plus1D(classes=5, channels=2, width=4),
    "vtn": lambda: small_vtn(frames=3, width=8, heads=2, depth=True),
}


@pytest.fixture
def slr(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run the command in this process: its exit status and what it prints for people."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def run(*arguments: object) -> tuple[int, str]:
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        return code, capsys.readouterr().err

    yield run
    root.handlers[:] = handlers
    root.setLevel(level)


# --- checkpoints as released ---------------------------------------------------------------------


def random_value(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """A value that keeps activations near 1."""
    if name.endswith("num_batches_tracked"):
        return torch.randint(1, 1000, shape, generator=generator)
    if name.endswith("DecoupleA"):
        return torch.rand(shape, generator=generator)
    if len(shape) < 2 and name.endswith(("running_var", "weight", "a_2")):
        return torch.rand(shape, generator=generator) + 0.5
    if len(shape) < 2 or name.endswith("Linear_bias"):
        return torch.randn(shape, generator=generator) * 0.1
    fan_in = math.prod(shape[1:])
    if name.endswith("Linear_weight"):
        fan_in = shape[0]
    elif ".slf_attn." in name:
        fan_in = shape[1]
    return torch.randn(shape, generator=generator) * math.sqrt(2 / fan_in)


def released(name: str, model: nn.Module, seed: int = 1) -> Weights:
    """A released checkpoint of the sizes of our model, with random values."""
    generator = torch.Generator().manual_seed(seed)
    kind = KINDS[name][0]
    weights = {}
    for key, value in model.state_dict().items():
        theirs = str(kind.their_name(key))
        shape = tuple(to_published(theirs, value).shape)
        weights[theirs] = random_value(theirs, shape, generator)
    if name == "slgcn":  # constants, which are stored there
        V = weights["l1.gcn1.DecoupleA"].shape[-1]
        for unit in range(1, 11):
            C = len(weights[f"l{unit}.gcn1.bn.weight"])
            weights[f"l{unit}.A"] = torch.eye(V)
            weights[f"l{unit}.gcn1.eyes"] = torch.eye(V).repeat(C, 1, 1)
    if name == "vtn" and getattr(model, "crops", 0) == 4:  # a second trunk nothing goes through
        for key in [key for key in weights if key.startswith("feature_extractor.")]:
            second = key.replace("feature_extractor.", "feature_extractor_d.")
            weights[second] = random_value(key, tuple(weights[key].shape), generator)
    return weights


def on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


PUBLISHED: dict[str, tuple[str, Callable[[], nn.Module]]] = {
    "slgcn": ("slgcn", lambda: SLGCN(classes=226, joints=27, bones=BONES_27)),
    "sstcn": ("sstcn", lambda: SSTCN(classes=226)),
    "r2plus1d_18_rgb": ("r2plus1d", lambda: R2Plus1D(classes=226)),
    "r2plus1d_18_flow": ("r2plus1d", lambda: R2Plus1D(classes=226, channels=2)),
    "vtn_hcpf": ("vtn", lambda: VTN(classes=226)),
    "vtn_hcpf_d": ("vtn", lambda: VTN(classes=226, depth=True)),
}


@pytest.mark.parametrize("released_name", PUBLISHED)
def test_these_checkpoints_have_the_released_names_and_shapes(released_name: str) -> None:
    name, build = PUBLISHED[released_name]
    weights = released(name, on_meta(build))
    shapes = {key: tuple(value.shape) for key, value in weights.items()}
    assert shapes == published_keys(released_name)


def save_plain(weights: Weights, path: Path) -> None:
    torch.save(OrderedDict(weights), path)


def save_old_cuda(weights: Weights, path: Path) -> None:
    """A file of torch before 1.6, whose tensors were on a GPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.serialization, "location_tag", lambda _: "cuda:0")
        torch.save(weights, path, _use_new_zipfile_serialization=False)


def save_parallel(weights: Weights, path: Path) -> None:
    torch.save({f"module.{name}": value for name, value in weights.items()}, path)


def save_lightning(weights: Weights, path: Path) -> None:
    """A checkpoint of Lightning 1.1: its own classes are in it, as keys and as a dict."""
    modules = {}
    for module, name, parent in [
        ("pytorch_lightning.callbacks.early_stopping", "EarlyStopping", object),
        ("pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", object),
        ("pytorch_lightning.utilities.parsing", "AttributeDict", dict),
    ]:
        modules[module] = types.ModuleType(module)
        setattr(modules[module], name, type(name, (parent,), {"__module__": module}))
    stopping, best, attributes = (list(vars(module).values())[-1] for module in modules.values())
    checkpoint = {
        "epoch": 3,
        "global_step": 100,
        "pytorch-lightning_version": "1.1.1",
        "callbacks": {
            stopping: {"wait_count": 0, "best_score": torch.tensor(0.5), "patience": 10},
            best: {"monitor": "val_loss", "best_model_path": "a.ckpt", "current_score": None},
        },
        "optimizer_states": [{"state": {0: {"step": 5}}, "param_groups": [{"lr": 1e-4}]}],
        "lr_schedulers": [{"step_size": 5, "_last_lr": [1e-4]}],
        "state_dict": OrderedDict((f"model.{name}", value) for name, value in weights.items()),
        "hparams_name": "kwargs",
        "hyper_parameters": attributes({"learning_rate": 1e-4, "classes": 226}),
    }
    with pytest.MonkeyPatch.context() as patch:
        for module in (
            "pytorch_lightning",
            "pytorch_lightning.callbacks",
            "pytorch_lightning.utilities",
        ):
            patch.setitem(sys.modules, module, types.ModuleType(module))
        for module, content in modules.items():
            patch.setitem(sys.modules, module, content)
        torch.save(checkpoint, path)


# --- references ----------------------------------------------------------------------------------


def under(w: Weights, prefix: str) -> Weights:
    return {k.removeprefix(prefix): value for k, value in w.items() if k.startswith(prefix)}


def r2plus1d_reference(w: Weights, clips: Tensor) -> Tensor:
    network = torchvision.models.video.r2plus1d_18(weights=None)
    stem = network.stem[0]
    if clips.shape[1] != 3:
        settings = {"stride": stem.stride, "padding": stem.padding, "bias": False}
        network.stem[0] = nn.Conv3d(clips.shape[1], 45, stem.kernel_size, **settings)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
    trunk = nn.Sequential(*list(network.children())[:-1]).eval()
    trunk.load_state_dict(under(w, "r2plus1d_18."))
    return functional.linear(trunk(clips).flatten(1), w["fc1.weight"], w["fc1.bias"])


def vtn_reference(w: Weights, crops: Tensor, pose: Tensor) -> Tensor:
    """Of crops (B, T, S, 3, H, W), colour before depth; both go through the first ResNet."""
    resnet = nn.Sequential(*list(torchvision.models.resnet34(weights=None).children())[:-2]).eval()
    resnet.load_state_dict(under(w, "feature_extractor.resnet."))
    features = resnet(crops.flatten(0, 2)).mean((2, 3)).view(*crops.shape[:2], -1)
    return vtn_logits(w, features, pose, layers=4)


# --- the released weights in our models ----------------------------------------------------------

FORWARDS: dict[str, tuple[Callable[..., Tensor], Callable[..., None], list[tuple[int, ...]]]] = {
    "slgcn": (lambda w, x: slgcn_logits(x, w), save_plain, [(2, 3, 20, 27)]),
    "sstcn": (lambda w, x: sstcn_logits(x, w), save_old_cuda, [(1, 60, 33, 7, 6)]),
    "r2plus1d_18_rgb": (r2plus1d_reference, save_parallel, [(1, 3, 8, 40, 32)]),
    "r2plus1d_18_flow": (r2plus1d_reference, save_parallel, [(1, 2, 8, 40, 32)]),
    "vtn_hcpf": (vtn_reference, save_lightning, [(1, 16, 2, 3, 48, 40), (1, 16, 106)]),
    "vtn_hcpf_d": (vtn_reference, save_lightning, [(1, 16, 4, 3, 48, 40), (1, 16, 106)]),
}


@pytest.mark.parametrize("released_name", FORWARDS)
def test_logits_of_imported_weights_equal_the_reference(
    released_name: str, slr: Run, tmp_path: Path
) -> None:
    reference, save, sizes = FORWARDS[released_name]
    name, build = PUBLISHED[released_name]
    weights = released(name, on_meta(build))
    save(weights, tmp_path / "theirs.pth")
    out = tmp_path / "ours.safetensors"
    code, text = slr("import-checkpoint", "--model", name, tmp_path / "theirs.pth", out)
    assert code == 0, text
    unused = sum("feature_extractor_d" in key or key[-5:] in (".eyes",) for key in weights)
    unused += sum(key.endswith(".A") for key in weights)
    assert text == (
        f"{out}: released weights of {name}, {len(weights) - unused} tensors, 226 classes; "
        f"{unused} of {len(weights)} in the source are not used\n"
    )
    state, header = load_weights(out)
    facts = {"format": "slr-weights", "version": "2", "source": "released"}
    assert header == {**facts, "model": name, "classes": "226"}
    model = build()
    model.load_state_dict(state)
    generator = torch.Generator().manual_seed(3)
    inputs = [torch.randn(size, generator=generator) for size in sizes]
    with torch.no_grad():
        ours, theirs = model.eval()(*inputs), reference(weights, *inputs)
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_every_weight_is_where_it_should_be(tmp_path: Path) -> None:
    """By hand, for the weights whose shape or order differs."""
    weights = released("slgcn", SMALL["slgcn"]())
    save_plain(weights, tmp_path / "theirs.pt")
    import_weights("slgcn", tmp_path / "theirs.pt", tmp_path / "ours.safetensors")
    ours, _ = load_weights(tmp_path / "ours.safetensors")
    project = ours["units.4.graph.project.weight"]
    assert project.shape == (3 * 16, 8, 1, 1)
    assert torch.equal(project[:, :, 0, 0], weights["l5.gcn1.Linear_weight"].T)
    bias = ours["units.4.graph.project.bias"]
    assert torch.equal(bias, weights["l5.gcn1.Linear_bias"][0, :, 0, 0])
    assert torch.equal(ours["units.9.graph.adjacency"], weights["l10.gcn1.DecoupleA"])
    assert torch.equal(ours["input_norm.running_var"], weights["data_bn.running_var"])
    assert ours["input_norm.num_batches_tracked"].dtype == torch.int64

    weights = released("vtn", SMALL["vtn"]())
    save_lightning(weights, tmp_path / "theirs.ckpt")
    import_weights("vtn", tmp_path / "theirs.ckpt", tmp_path / "ours.safetensors")
    ours, _ = load_weights(tmp_path / "ours.safetensors")
    decoder = "self_attention_decoder.layers.1.pos_ffn"
    assert torch.equal(ours["blocks.1.expand.weight"], weights[f"{decoder}.w_1.weight"][:, :, 0])
    assert torch.equal(ours["blocks.1.contract.weight"], weights[f"{decoder}.w_2.weight"][:, :, 0])
    first = "feature_extractor.resnet"
    assert torch.equal(ours["trunk.layer3.0.conv1.weight"], weights[f"{first}.6.0.conv1.weight"])


# --- kinds of files ------------------------------------------------------------------------------


def save_safetensors(weights: Weights, path: Path) -> None:
    save_file({name: value.contiguous() for name, value in weights.items()}, path)


def save_mmcv(weights: Weights, path: Path) -> None:
    torch.save({"meta": {"epoch": 1, "time": "now"}, "state_dict": weights}, path)


def save_under_another_key(weights: Weights, path: Path) -> None:
    optimizer = {"state": {0: {"step": torch.zeros(1)}}, "param_groups": [{"lr": 0.1}]}
    torch.save({"epoch": 1, "model_state_dict": weights, "optimizer": optimizer}, path)


def save_parameters(weights: Weights, path: Path) -> None:
    parameters = {
        name: nn.Parameter(value) if value.is_floating_point() else value
        for name, value in weights.items()
    }
    torch.save(parameters, path)


def save_wrapped_twice(weights: Weights, path: Path) -> None:
    torch.save({f"module.model.{name}": value for name, value in weights.items()}, path)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    "save",
    [
        save_plain,
        save_old_cuda,
        save_parallel,
        save_lightning,
        save_safetensors,
        save_mmcv,
        save_under_another_key,
        save_parameters,
        save_wrapped_twice,
    ],
)
def test_any_wrapping_gives_the_same_bytes(
    name: str, save: Callable[..., None], tmp_path: Path
) -> None:
    model = SMALL[name]()
    weights = released(name, model)
    save_plain(dict(reversed(weights.items())), tmp_path / "plain.pth")
    import_weights(name, tmp_path / "plain.pth", tmp_path / "plain.safetensors")
    source = tmp_path / ("theirs.safetensors" if save is save_safetensors else "theirs.pth")
    save(weights, source)
    import_weights(name, source, tmp_path / "ours.safetensors")
    expected = (tmp_path / "plain.safetensors").read_bytes()
    assert (tmp_path / "ours.safetensors").read_bytes() == expected
    model.load_state_dict(load_weights(tmp_path / "ours.safetensors")[0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floats_become_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    weights = released("r2plus1d", SMALL["r2plus1d"]())
    other = {k: v.to(dtype) if v.is_floating_point() else v for k, v in weights.items()}
    save_plain(other, tmp_path / "theirs.pth")
    import_weights("r2plus1d", tmp_path / "theirs.pth", tmp_path / "ours.safetensors")
    ours, _ = load_weights(tmp_path / "ours.safetensors")
    assert {value.dtype for value in ours.values()} == {torch.float32, torch.int64}
    assert torch.equal(ours["classifier.weight"], other["fc1.weight"].float())


# --- torchvision's weights -----------------------------------------------------------------------


@pytest.mark.parametrize("backbone", ["resnet18", "resnet34"])
@pytest.mark.parametrize("counted", [True, False])
def test_imagenet_weights_start_a_trunk(
    backbone: Any, counted: bool, slr: Run, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    theirs = getattr(torchvision.models, backbone)(weights=None)
    theirs.train()(torch.randn(2, 3, 64, 64))  # running statistics of its own
    weights = theirs.eval().state_dict()
    if not counted:  # as in the files of torchvision
        weights = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    save_plain(weights, tmp_path / "theirs.pth")
    out = tmp_path / "trunk.safetensors"
    code, text = slr("import-checkpoint", "--model", "vtn", tmp_path / "theirs.pth", out)
    assert code == 0, text
    tensors = len(theirs.state_dict()) - 2
    assert text.startswith(f"{out}: imagenet weights of vtn, {tensors} tensors, no classifier; 2 ")
    state, header = load_weights(out)
    assert (header["source"], header["classes"]) == ("imagenet", "")
    assert {name.partition(".")[0] for name in state} == {"trunk"}
    model = VTN(classes=5, frames=3, width=16, layers=1, backbone=backbone)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fresh = start_from(model, out, classes=list("abcde"))
    assert fresh == ["bottleneck", "positions", "blocks", "classifier"]
    for name, value in model.state_dict().items():
        assert torch.equal(value, state.get(name, before[name])), name
    theirs.fc = nn.Identity()
    x = torch.randn(2, 3, 40, 48)
    with torch.no_grad():
        torch.testing.assert_close(model.eval().trunk(x).mean((2, 3)), theirs(x))


def test_kinetics_weights_start_a_video_network(slr: Run, tmp_path: Path) -> None:
    weights = torchvision.models.video.r2plus1d_18(weights=None).state_dict()
    weights = {k: torch.rand(v.shape) if v.ndim else v for k, v in weights.items()}
    save_plain(weights, tmp_path / "theirs.pth")
    out = tmp_path / "kinetics.safetensors"
    code, text = slr("import-checkpoint", "--model", "r2plus1d", tmp_path / "theirs.pth", out)
    assert code == 0, text
    assert "kinetics weights of r2plus1d, 222 tensors, no classifier; 2 of 224" in text
    model = R2Plus1D(classes=5)
    assert start_from(model, out, classes=list("abcde")) == ["classifier"]
    for name, value in model.state_dict().items():
        if not name.startswith("classifier."):
            assert torch.equal(value, weights[name]), name
    with pytest.raises(ArtifactError, match=r"misshapen: stem.0.weight is \(45, 3, 1, 7, 7\), exp"):
        start_from(R2Plus1D(classes=5, channels=2), out, classes=list("abcde"))


# --- refused -------------------------------------------------------------------------------------


def refused(name: str, weights: Weights, tmp_path: Path) -> list[str]:
    """The lines of the message; nothing is written."""
    save_plain(weights, tmp_path / "theirs.pth")
    with pytest.raises(ArtifactError) as caught:
        import_weights(name, tmp_path / "theirs.pth", tmp_path / "out" / "ours.safetensors")
    assert not (tmp_path / "out").exists()
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{tmp_path / 'theirs.pth'}: ")
    return [line.removeprefix(f"{tmp_path / 'theirs.pth'}: ") for line in lines]


def test_all_problems_are_in_one_message(tmp_path: Path) -> None:
    weights = released("r2plus1d", SMALL["r2plus1d"]())
    for number in range(12):
        weights[f"extra.{number}"] = torch.zeros(1)
    del weights["r2plus1d_18.2.0.conv1.0.0.weight"]
    weights["fc1.bias"] = torch.zeros(4)
    weights["fc1.weight"][1, 2] = torch.nan
    weights["r2plus1d_18.0.1.running_var"][0] = torch.inf
    assert refused("r2plus1d", weights, tmp_path) == [
        "not whole released weights of r2plus1d: 12 unknown, 1 missing, 1 misshapen, 2 not finite",
        *(f"  unknown: extra.{number}" for number in range(10)),
        "  unknown: and 2 more",
        "  missing: r2plus1d_18.2.0.conv1.0.0.weight (14, 4, 1, 3, 3)",
        "  misshapen: fc1.bias is (4,), expected (5,)",
        "  not finite: r2plus1d_18.0.1.running_var",
        "  not finite: fc1.weight",
    ]


def test_values_beyond_float32_are_refused(tmp_path: Path) -> None:
    weights = {k: v.double() for k, v in released("sstcn", SMALL["sstcn"]()).items()}
    weights["fc1.bias"][0] = 1e300
    assert refused("sstcn", weights, tmp_path)[1:] == ["  not finite: fc1.bias"]


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        ("fc1.bias", lambda v: v.long(), "not floats: fc1.bias is int64"),
        ("bn.weight", lambda v: v > 0, "not floats: bn.weight is bool"),
        ("bn.running_var", lambda v: -v, "negative variances: bn.running_var"),
        ("bn.num_batches_tracked", lambda v: v > 0, "not floats: bn.num_batches_tracked is bool"),
    ],
)
def test_values_that_no_network_can_use_are_refused(
    name: str, change: Callable[[Tensor], Tensor], line: str, tmp_path: Path
) -> None:
    weights = released("sstcn", SMALL["sstcn"]())
    weights[name] = change(weights[name])
    assert refused("sstcn", weights, tmp_path)[1:] == [f"  {line}"]


def test_a_flipped_byte_of_a_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"
    weights = released("sstcn", SMALL["sstcn"]())
    save_plain(weights, path)
    data = bytearray(path.read_bytes())
    data[data.index(weights["fc1.weight"].numpy().tobytes()) + 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match=r"theirs\.pth: not whole weights \(.* is damaged\)"):
        import_weights("sstcn", path, tmp_path / "ours.safetensors")


@pytest.mark.parametrize("save", [save_plain, save_safetensors])
def test_an_endless_name_is_not_printed(
    save: Callable[[Weights, Path], None], tmp_path: Path
) -> None:
    suffix = ".pth" if save is save_plain else ".safetensors"
    path = tmp_path / f"theirs{suffix}"
    save({"a" * 10_000_000: torch.zeros(1)}, path)
    with pytest.raises(ArtifactError, match="are not tensors by name") as caught:
        import_weights("sstcn", path, tmp_path / "ours.safetensors")
    assert len(str(caught.value)) < 500


SIZED = {
    "slgcn": "fc.weight l1.gcn1.DecoupleA l1.gcn1.Linear_weight l1.gcn1.bn.weight",
    "sstcn": "bn.weight fc1.weight t1downsample.g_conv_1x1_compress.conv1x1.weight "
    "f5downsample.g_conv_3x3_compress.conv3x3.weight",
    "r2plus1d": "fc1.weight r2plus1d_18.0.0.weight r2plus1d_18.0.3.weight",
    "vtn": "bottle_mm.weight classifier.fc.weight feature_extractor.resnet.0.weight "
    "self_attention_decoder.position_encoding.enc.weight "
    "self_attention_decoder.layers.0.slf_attn.w_qs",
}


@pytest.mark.parametrize(("name", "key"), [(n, key) for n in SIZED for key in SIZED[n].split()])
def test_a_weight_that_sizes_are_read_from_is_listed(name: str, key: str, tmp_path: Path) -> None:
    weights = released(name, SMALL[name]())
    lines = refused(name, {k: v for k, v in weights.items() if k != key}, tmp_path)
    assert any(line.startswith(f"  missing: {key} (") for line in lines)
    for value in (torch.zeros(()), torch.zeros(0, 3), weights[key][None]):
        lines = refused(name, {**weights, key: value}, tmp_path)
        assert lines[0].startswith("not whole released weights of ")
        assert "misshapen" in lines[0]


def test_a_released_checkpoint_without_decoder_is_refused(tmp_path: Path) -> None:
    weights = released("vtn", SMALL["vtn"]())
    weights = {name: value for name, value in weights.items() if ".layers." not in name}
    assert "44 missing" in refused("vtn", weights, tmp_path)[0]


def test_two_weights_of_one_name_are_refused(tmp_path: Path) -> None:
    weights = released("sstcn", SMALL["sstcn"]())
    weights["module.fc1.bias"] = weights["fc1.bias"]
    line = "two weights are named fc1.bias, with and without prefix"
    assert refused("sstcn", weights, tmp_path) == [line]


def test_another_network_is_named(tmp_path: Path) -> None:
    assert refused("slgcn", released("sstcn", SMALL["sstcn"]()), tmp_path) == [
        "not released weights of slgcn, by its 95 names (bn.weight, bn.bias, bn.running_mean, "
        "...); it looks like released weights of sstcn; check --model and the file"
    ]
    for prefix in ("net.backbone.", "encoder."):
        inner = {
            f"{prefix}{name}": value for name, value in released("sstcn", SMALL["sstcn"]()).items()
        }
        (line,) = refused("sstcn", inner, tmp_path)
        assert f"; remove the prefix {prefix} from the names and save the weights again" in line
    lines = refused("vtn", {"a": torch.zeros(1)}, tmp_path)
    assert lines == [
        "not released or imagenet weights of vtn, by its 1 names (a, ...); "
        "check --model and the file"
    ]
    wide = torchvision.models.resnet50(weights=None).state_dict()
    lines = refused("vtn", wide, tmp_path)
    assert lines[0].startswith("not whole imagenet weights of vtn: ")
    assert "  unknown: layer1.0.conv3.weight" in lines


def test_wrong_flags_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="model resnet: expected one of slgcn, sstcn, r2plus1d,"):
        import_weights("resnet", "a.pth", tmp_path / "a.safetensors")
    with pytest.raises(ConfigError, match=r"a\.pth: the file to write must end in \.safetensors"):
        import_weights("vtn", "a.pth", tmp_path / "a.pth")


class Hostile:
    """Runs a command when it is unpickled without care."""

    def __init__(self, run: Callable[[str], object], text: str) -> None:
        self.run, self.text = run, text

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return self.run, (self.text,)


@pytest.mark.parametrize("run", [os.system, eval, exec])
@pytest.mark.parametrize("wrapped", ["alone", "beside weights", "as state dict", "pickle", "old"])
def test_code_in_a_file_is_not_run(
    run: Callable[[str], object], wrapped: str, slr: Run, tmp_path: Path
) -> None:
    proof = tmp_path / "proof"
    code = f"touch {proof}" if run is os.system else f"open({str(proof)!r}, 'w')"
    hostile: Any = Hostile(run, code)
    weights: dict[str, Any] = dict(released("sstcn", SMALL["sstcn"]()))
    match wrapped:
        case "beside weights":
            hostile = {**weights, "fc1.bias": hostile}
        case "as state dict":
            hostile = {"state_dict": weights, "hyper_parameters": hostile}
    source = tmp_path / "theirs.pth"
    if wrapped == "pickle":
        source.write_bytes(pickle.dumps(hostile))
    else:
        torch.save(hostile, source, _use_new_zipfile_serialization=wrapped != "old")
    out = tmp_path / "ours.safetensors"
    status, text = slr("import-checkpoint", "--model", "sstcn", source, out)
    assert status == 1
    assert text.startswith(f"error: {source}: ")
    assert len(text.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [source]
    pickle.loads(pickle.dumps(Hostile(run, code)))  # it would have
    assert proof.exists()


# --- starting from weights -----------------------------------------------------------------------


def write_model(path: Path, model: nn.Module, classes: list[str]) -> None:
    save_model(path, model.state_dict(), {"classes": classes})


def small_sstcn(seed: int, **changes: int) -> SSTCN:
    torch.manual_seed(seed)
    return SSTCN(**{"classes": 3, "frames": 4, "joints": 3, "width": 6, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("theirs", "ours", "fresh"),
    [("abc", "abc", []), ("abc", "acb", ["classifier"]), ("abcd", "abc", ["classifier"])],
)
def test_start_from_a_model_of_ours(
    theirs: str, ours: str, fresh: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "model.safetensors"
    first, model = small_sstcn(1, classes=len(theirs)), small_sstcn(2)
    write_model(path, first, list(theirs))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with caplog.at_level(logging.INFO, logger="slr_pipeline.training.start_weights"):
        assert start_from(model, path, classes=list(ours)) == fresh
    new = ", ".join(fresh) or "nothing"
    assert caplog.messages == [f"start from {path}: weights of a stream; new: {new}"]
    for name, value in model.state_dict().items():
        expected = before if name.partition(".")[0] in fresh else first.state_dict()
        assert torch.equal(value, expected[name]), name


@pytest.mark.parametrize(("classes", "fresh"), [(3, []), (500, ["classifier"])])
def test_start_from_imported_weights(classes: int, fresh: list[str], tmp_path: Path) -> None:
    theirs = small_sstcn(1, classes=classes).state_dict()
    path = tmp_path / "a.safetensors"
    facts = {"model": "sstcn", "source": "released", "classes": str(classes)}
    save_weights(path, theirs, facts)
    model = small_sstcn(2)
    assert start_from(model, path, classes=["a", "b", "c"]) == fresh
    assert torch.equal(model.step_4b.conv.weight, theirs["step_4b.conv.weight"])


def test_weights_of_another_model_are_refused_and_nothing_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_model(path, small_sstcn(1, width=8), ["a", "b", "c"])
    model = small_sstcn(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ArtifactError) as caught:
        start_from(model, path, classes=["a", "b", "c"])
    lines = str(caught.value).splitlines()
    what = f"{path}: weights of a stream, do not fit the SSTCN of these settings: 16 misshapen"
    assert lines[0] == what
    assert "  misshapen: classifier.weight is (3, 4), expected (3, 3)" in lines
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda v: torch.full_like(v, torch.nan), "not finite: bn.running_var"),
        (lambda v: -v, "negative variances: bn.running_var"),
        (lambda v: v.long(), "not floats: bn.running_var is int64"),
    ],
)
def test_start_weights_that_no_network_can_use_are_refused(
    change: Callable[[Tensor], Tensor], line: str, tmp_path: Path
) -> None:
    model = small_sstcn(1)
    state = model.state_dict()
    name = next(name for name in state if name.endswith("running_var"))
    state[name] = change(state[name])
    save_model(tmp_path / "model.safetensors", state, {"classes": ["a", "b", "c"]})
    with pytest.raises(ArtifactError) as caught:
        start_from(model, tmp_path / "model.safetensors", classes=["a", "b", "c"])
    assert str(caught.value).splitlines()[1:] == [f"  {line.replace('bn.running_var', name)}"]


def test_a_partly_missing_part_is_refused(tmp_path: Path) -> None:
    state = small_sstcn(1).state_dict()
    path = tmp_path / "a.safetensors"
    del state["step_2a.conv.weight"]
    state = {name: value for name, value in state.items() if not name.startswith("step_1a.")}
    state["step_9.weight"] = torch.zeros(1)
    save_weights(path, state, {"model": "sstcn", "source": "released", "classes": "3"})
    with pytest.raises(ArtifactError) as caught:
        start_from(small_sstcn(2), path, classes=["a", "b", "c"])
    assert str(caught.value).splitlines() == [
        f"{path}: released weights of sstcn, do not fit the SSTCN of these settings: "
        "1 unknown, 1 missing",
        "  unknown: step_9.weight",
        "  missing: step_2a.conv.weight",
    ]


def test_a_file_with_only_a_foreign_classifier_is_refused(tmp_path: Path) -> None:
    state = small_sstcn(1, classes=9).state_dict()
    head = {name: value for name, value in state.items() if name.startswith("classifier.")}
    path = tmp_path / "a.safetensors"
    save_weights(path, head, {"model": "sstcn", "source": "released", "classes": "9"})
    with pytest.raises(ArtifactError, match="hold no weights of a SSTCN"):
        start_from(small_sstcn(2), path, classes=["a", "b", "c"])


def test_start_from_other_files_says_what_to_do(tmp_path: Path) -> None:
    weights = small_sstcn(1).state_dict()
    torch.save(weights, tmp_path / "a.pth")
    save_file(dict(weights), tmp_path / "plain.safetensors")
    save_file(
        dict(weights), tmp_path / "new.safetensors", {"format": "slr-weights", "version": "3"}
    )
    for name, reason in [
        ("a.pth", "not a whole safetensors file .* with `slr import-checkpoint`"),
        ("none.safetensors", "not a whole safetensors file .*No such file"),
        ("plain.safetensors", r"neither imported weights nor a model with plain\.json beside it"),
        ("new.safetensors", r"expected slr-weights version 2, found \('slr-weights', '3'\)"),
    ]:
        with pytest.raises(ArtifactError, match=reason) as caught:
            start_from(small_sstcn(2), tmp_path / name, classes=["a", "b", "c"])
        assert len(str(caught.value).splitlines()) == 1


def test_sha256_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_bytes(b"weights")
    right, wrong = hashlib.sha256(b"weights").hexdigest(), "0" * 64
    check_sha256(path, right)
    check_sha256(path, f" {right.upper()}\n")
    with pytest.raises(ArtifactError, match=f"SHA-256 is {right}, expected {wrong}; fetch"):
        check_sha256(path, wrong)
    with pytest.raises(
        DataError, match="there is no such file; get a file of docs/reference/weights"
    ):
        check_sha256(tmp_path / "none.pth", right)
