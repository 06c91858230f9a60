"""Draw the features of a sample as a PNG."""

import argparse


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("sample", help="name of the sample")
    parser.add_argument("--results", default="results", help="folder of a run")
    parser.add_argument("--out", required=True, help="the .png to write")
    parser.add_argument("--columns", type=int, default=6, help="number of frames (default: 6)")
    parser.add_argument(
        "--tile", type=int, default=192, help="longer side of each picture in px (default: 192)"
    )
    parser.add_argument("--features", nargs="+", help="features to draw (default: all)")


def main(arguments: argparse.Namespace) -> None:
    """Draw the features of one sample."""
    from slr_pipeline.report.contact_sheet import write_contact_sheet

    write_contact_sheet(
        arguments.out,
        arguments.sample,
        arguments.results,
        columns=arguments.columns,
        tile_px=arguments.tile,
        features=arguments.features,
    )
