"""The Python that runs our commands and steps, whatever the place where they start."""

import io
import os
import sys
from pathlib import Path


def isolated() -> dict[str, str]:
    """Environment variables for every Python of a run.

    No module comes from the working folder, where users keep their own `random.py`. A relative
    entry of PYTHONPATH also means that folder, and `PYTHONPATH=$PYTHONPATH:/x` often has an empty
    one. Text is UTF-8 in any locale.
    """
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(filter(os.path.isabs, folders)),
        "PYTHONUTF8": "1",
    }


def start_console_script() -> None:
    """Prepare this process; where its locale is not UTF-8, it starts again in UTF-8 mode.

    Exits if the script is in a copied environment: it would run the code of the original.
    """
    environment = Path(sys.argv[0]).resolve().parent.parent
    if (environment / "pyvenv.cfg").exists() and environment != Path(sys.prefix).resolve():
        sys.exit(
            f"error: {environment} is a copy of {sys.prefix} and would run the code there; make "
            f"it anew: make -C {environment.parent} install"
        )
    os.environ.update(isolated())
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    if isinstance(sys.stdout, io.TextIOWrapper):  # PYTHONIOENCODING may be ASCII
        sys.stdout.reconfigure(errors="backslashreplace")
