import logging
import os
from collections.abc import Generator, Iterator

import pytest
import torch
from hypothesis import settings

from slr_pipeline.startup import lasting_imports

# On a loaded machine any example may take long.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    with lasting_imports():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Several processes share the tests by file; files with long tests first, so that none is last.

    The run that many tests copy is made once, by the first process that needs it: one file begins
    with it, and the others have other long tests before. Without a GPU some tests are skipped.
    """
    gpu = torch.cuda.is_available()
    marked = {item.path for item in items if item.get_closest_marker("slow")}
    copying = {item.path for item in items if "finished_run" in getattr(item, "fixturenames", ())}
    maker = min(copying - marked, default=None)
    items.sort(
        key=lambda item: (item.path != maker, item.path not in marked, item.path not in copying)
    )
    for item in items:
        if item.get_closest_marker("gpu") and not gpu:
            item.add_marker(pytest.mark.skip(reason="no GPU"))


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command may silence the package for the rest of its process."""
    log = logging.getLogger("slr_pipeline")
    level = log.level
    yield
    log.setLevel(level)


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """A workflow that is parsed in this process sets variables for its jobs."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors: more threads only wait for each other where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
