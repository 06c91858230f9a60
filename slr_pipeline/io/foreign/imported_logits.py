"""What files of imported logits state of themselves, compared with the configuration."""

from slr_pipeline.config.experiment import Config
from slr_pipeline.errors import DataError, SlrError
from slr_pipeline.io.foreign.logits import join_logits
from slr_pipeline.io.logits import read_logits
from slr_pipeline.samples.table import SampleTable


def check_logits(config: Config, table: SampleTable) -> None:
    """DataError with a line per damaged file, and per file of other samples, classes and so on."""
    problems = []
    for file in config.imported_logits():
        try:
            logits = read_logits(file.path)
            join_logits(file.path, logits, table, file.split, file.protocol, file.reads)
        except SlrError as error:
            problems.append(f"{file.key}: {error}")
    if problems:
        raise DataError("\n".join(problems))
