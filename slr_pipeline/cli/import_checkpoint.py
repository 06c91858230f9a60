"""Import weights of the authors or of torchvision."""

import argparse


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--model", required=True, help="slgcn, sstcn, r2plus1d or vtn")
    parser.add_argument("source", help="a file of torch.save, or .safetensors")
    parser.add_argument("out", help="the .safetensors to write")


def main(arguments: argparse.Namespace) -> None:
    """Write weights that were trained elsewhere as a file that a stream can start from."""
    from slr_pipeline.training.start_weights import import_weights

    import_weights(arguments.model, arguments.source, arguments.out)
