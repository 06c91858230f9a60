"""Bring in weights of the authors or of torchvision."""

import argparse


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("--model", required=True, help="slgcn, sstcn, r2plus1d or vtn")
    parser.add_argument("source", help="file of torch.save, or .safetensors")
    parser.add_argument("out", help="the .safetensors to write")


def main(given: argparse.Namespace) -> None:
    """Bring in weights that were trained elsewhere."""
    # Late: the other commands stay light.
    from slr_pipeline.training.start_weights import import_weights  # noqa: PLC0415

    import_weights(given.model, given.source, given.out)
