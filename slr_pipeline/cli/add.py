"""Add new clips to the sample table of `slr init`; the clips in it keep their split."""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from slr_pipeline.cli.init import describe, left_out_lines, read_clips, run_command
from slr_pipeline.cli.splitting import SEED, SHARES
from slr_pipeline.config.experiment import Split, TableData, read_config
from slr_pipeline.errors import ConfigError, DataError
from slr_pipeline.io.messages import first_few
from slr_pipeline.samples.csv_rows import csv_table, decode, read_bytes
from slr_pipeline.samples.table import REQUIRED_COLUMNS, TABLE_COLUMNS, load_samples

if TYPE_CHECKING:
    import pandas as pd

    from slr_pipeline.samples.clip_folder import OwnClip


def flags(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder that `slr init` wrote to")
    parser.add_argument(
        "--labels",
        type=Path,
        help="CSV of video,label,signer with the new clips (default: the sub-folder of a video is "
        "its sign)",
    )


def main(arguments: argparse.Namespace) -> None:
    """Add a row for each new clip; print what the table contains and the next command."""
    import pandas as pd

    from slr_pipeline.io.atomic import write_text
    from slr_pipeline.samples.clip_folder import sample_names
    from slr_pipeline.samples.split_table import table_text

    path = arguments.folder / "config.yaml"
    data = read_config(str(path)).data
    if not isinstance(data, TableData):
        raise ConfigError(f"{path}: data.layout is {data.layout}; only a table can be added to")
    load_samples(data)  # refuses a table that is wrong already
    cells = csv_table(
        data.table, decode(data.table, read_bytes(data.table)), TABLE_COLUMNS, REQUIRED_COLUMNS
    )
    old = pd.DataFrame([row for _, row in cells], columns=list(TABLE_COLUMNS), dtype=object)
    if any(old["depth"]):
        raise DataError(f"{data.table}: it has depth videos; add the rows of new clips by hand")
    clips, notes = new_clips(data, arguments.labels, old)
    if not clips:
        print("\n".join([*notes, f"{data.table}: nothing to add, all clips are in it"]))
        return
    new = pd.DataFrame(clips).rename(columns={"video": "color"})
    new["sample"] = sample_names(new["color"].tolist(), old["sample"].tolist())
    table = pd.concat([old, new], ignore_index=True).fillna("")
    table["split"] = extended_split(data, table)
    write_text(data.table, table_text(table, table["split"].tolist()))
    notes.append(f"added to {data.table}: {describe(table[len(old) :])}")
    notes += [f"now {describe(table)}", "next, in the folder of the Snakefile:"]
    print("\n".join([*notes, f"  {run_command(arguments.folder)}"]))


def new_clips(
    data: TableData, labels: Path | None, old: "pd.DataFrame"
) -> tuple[list["OwnClip"], list[str]]:
    """The clips below the folder of the videos that the table does not have, and notes.

    The notes say what is left out, and where table and `labels` differ. DataError for signs that
    would have too few clips.
    """
    from slr_pipeline.samples.clip_folder import OwnClip, check_clips, find_videos, respell

    videos = Path(data.root or os.path.dirname(data.table))
    listed = [
        OwnClip(color, label, signer)
        for color, label, signer in old[["color", "label", "signer"]].itertuples(index=False)
    ]
    own = {os.path.normpath(clip.video): clip for clip in listed}
    names, left_out = find_videos(videos)
    left_out.pop("not videos", None)  # results, tables and the config
    if labels is None:
        names = [name for name in names if name not in own]
    clips, unlabelled = read_clips(videos, labels, names)
    rows = [clip for clip in listed if clip.label]  # unknown in test, perhaps
    both, spellings = respell([*rows, *(clip for clip in clips if clip.video not in own)])
    check_clips(labels or videos, both)
    changed = [clip.video for clip in clips if own.get(clip.video, clip).label != clip.label]
    notes = [f"warning: {text}" for text in spellings]
    left_out[f"not in {labels}"] = [name for name in unlabelled if name not in own]
    notes += left_out_lines(left_out)
    if changed:
        notes.append(f"keeps its label, which is not that of {labels}: {first_few(changed)}")
    return both[len(rows) :], notes


def extended_split(data: TableData, table: "pd.DataFrame") -> list[Split]:
    """The split of each row (N,): new rows, without one, get theirs by the rule of `slr init`.

    DataError for new clips without a signer in a table that is split by signer, and for a sign that
    train would lack.
    """
    from slr_pipeline.samples import splits

    known = [split or None for split in table["split"]]
    labels, signers = table["label"].tolist(), table["signer"].tolist()
    new = table["split"] == ""
    if not (data.signer_independent and any(table.loc[~new, "signer"])):
        return splits.clip_split(labels, known, **SHARES, seed=SEED)
    if unsigned := table.loc[new & (table["signer"] == ""), "color"].tolist():
        raise DataError(
            f"{data.table}: it is split by signer, and {len(unsigned)} new clips have no signer: "
            f"{first_few(unsigned)}; name the signers with --labels"
        )
    split = splits.deal_signers(labels, signers, known, **SHARES)
    trained = set(table.loc[[name == "train" for name in split], "label"])
    if missing := sorted(set(labels) - trained - {""}):
        raise DataError(
            f"{data.table}: train would have no clip of {first_few(missing)}; add clips of it by a "
            "signer of train, or by new signers"
        )
    return split
