"""Draw the features of a sample as a PNG."""

import argparse


def flags(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    parser.add_argument("sample")
    parser.add_argument("--results", default="results", help="folder of a run")
    parser.add_argument("--out", required=True, help="the PNG")
    parser.add_argument("--columns", type=int, default=6, help="most frames that are shown")
    parser.add_argument("--tile", type=int, default=192, help="longer side of a picture, px")
    parser.add_argument("--features", nargs="+", help="which to draw; all there are by default")


def main(given: argparse.Namespace) -> None:
    """Draw the features of one sample."""
    # Late: the other commands stay light.
    from slr_pipeline.report.contact_sheet import write_contact_sheet  # noqa: PLC0415

    write_contact_sheet(
        given.out,
        given.sample,
        given.results,
        columns=given.columns,
        tile_px=given.tile,
        features=given.features,
    )
