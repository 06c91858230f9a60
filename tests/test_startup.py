"""Imports that last are not searched for garbage; everything later is."""

import gc
import weakref

import pytest

from slr_pipeline.startup import lasting_imports


class Cycle:
    def __init__(self) -> None:
        self.own = self


def test_later_garbage_is_found_and_lasting_objects_are_not_searched() -> None:
    before = gc.get_freeze_count()
    with lasting_imports():
        assert not gc.isenabled()
        lasting = [Cycle() for _ in range(10)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= before + len(lasting)
    later = weakref.ref(Cycle())
    gc.collect()
    assert later() is None


def test_a_failed_import_leaves_the_search_on() -> None:
    with pytest.raises(ImportError), lasting_imports():
        raise ImportError
    assert gc.isenabled()
