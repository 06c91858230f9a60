"""Run a step: `python -P -m slr_pipeline.steps STEP --flag value ...`.

Processes that a step starts import only what they use, because this module is their main module.
"""

import argparse
import importlib
import pkgutil
import sys

from slr_pipeline import steps
from slr_pipeline.errors import run
from slr_pipeline.startup import lasting_imports


def main() -> None:
    """Call the function that has the name of its module, with flags for its parameters."""
    names = [module.name for module in pkgutil.iter_modules(steps.__path__)]
    parser = argparse.ArgumentParser(prog="python -m slr_pipeline.steps")
    parser.add_argument("step", choices=sorted(set(names) - {"__main__"}))
    name = parser.parse_args(sys.argv[1:2]).step
    with lasting_imports():
        from slr_pipeline.config.flags import step_flags

        step = getattr(importlib.import_module(f"{steps.__name__}.{name}"), name)
    run(lambda: step(**step_flags(step, sys.argv[2:])))


if __name__ == "__main__":
    main()
