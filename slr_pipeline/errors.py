"""The errors a user can mend: one line with what, where, found against expected, and what to do."""


class SlrError(Exception):
    """Something the user can mend; shown as one line without a traceback."""


class ConfigError(SlrError):
    """A wrong configuration: the message names the key and the values that are known."""


class DataError(SlrError):
    """Wrong input data: the message names the table row, the sample or the file."""


class ArtifactError(SlrError):
    """A file of the pipeline that is short, foreign, or of another version."""
