"""The Python that runs our commands and steps, whatever the place where they start."""

import getpass
import io
import os
import sys
import tempfile
from pathlib import Path

from slr_pipeline.errors import ConfigError


def isolated() -> dict[str, str]:
    """Environment variables for every Python of a run.

    No module comes from the working folder, where users keep their own `random.py`. A relative
    entry of PYTHONPATH also means that folder, and `PYTHONPATH=$PYTHONPATH:/x` often has an empty
    one. Text is UTF-8 in any locale. A user without a name or a home folder gets one.
    """
    folders = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(filter(os.path.isabs, folders)),
        "PYTHONUTF8": "1",
        **_home(),
        **_name(),
    }


def _name() -> dict[str, str]:
    """A variable with a name for a user ID that has none, as in many containers."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        return {"USER": f"uid{os.getuid()}"}
    return {}


def _home() -> dict[str, str]:
    """Variables for the caches of libraries; empty where the user's own folder can be written."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        cache.mkdir(parents=True, exist_ok=True)
        if os.access(cache, os.W_OK):
            return {}
    except (OSError, RuntimeError):  # RuntimeError: no HOME, and a user ID without a name
        pass
    folder = Path(tempfile.gettempdir(), f"slr-home-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        sys.exit(f"error: {folder} belongs to another user; set HOME to a folder of your own")
    names = {"XDG_CACHE_HOME": ".cache", "MPLCONFIGDIR": "matplotlib"}
    home = {"HOME": os.environ.get("HOME") or str(folder)}
    return home | {name: str(folder / place) for name, place in names.items()}


def check_code(checkout: Path) -> None:
    """ConfigError if a checkout would be run with the package of another one.

    The activate script of a copied environment activates the original.
    """
    running = Path(__file__).parents[1]
    own = checkout / running.name
    other = (running.parent / "Snakefile").exists() and (own / "__init__.py").exists()
    if other and not own.samefile(running):
        raise ConfigError(
            f"{checkout}: this checkout would be run with the code of {running.parent}; run make "
            "install here, then activate the .venv of this folder"
        )


def check_writable(results: str) -> None:
    """ConfigError if this user may not make a run's folders, or continue in those of another."""
    for path in (Path(".snakemake").absolute(), Path(results).absolute()):
        existing = next(folder for folder in (path, *path.parents) if folder.is_dir())
        for folder in (existing, *path.glob("*/")):
            if not os.access(folder, os.W_OK | os.X_OK):
                raise ConfigError(
                    f"{folder}: this user may not write there; run in a folder of your own, or "
                    "share this one as docs/how-to/containers.md describes"
                )


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
