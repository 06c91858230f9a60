"""What files of imported logits state of themselves, compared with the configuration."""

import os
from collections.abc import Iterator

from slr_pipeline.config.experiment import Config
from slr_pipeline.errors import SlrError
from slr_pipeline.io.foreign.logits import join_logits
from slr_pipeline.io.logits import read_logits
from slr_pipeline.samples.table import SampleTable


def logits_problems(config: Config, table: SampleTable) -> Iterator[str]:
    """A line per file that is damaged, or that states other samples, classes and so on."""
    for file in config.imported_logits():
        if not os.path.isfile(file.path):
            continue
        try:
            logits = read_logits(file.path)
            join_logits(file.path, logits, table, file.split, file.protocol, file.reads)
        except SlrError as error:
            yield f"{file.key}: {error}"
