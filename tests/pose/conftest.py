"""Checkpoints that several modules test."""

from collections.abc import Callable

import pytest

from tests.pose import networks


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Checkpoints of MMPose's configs with random weights, each written once."""
    folder = tmp_path_factory.mktemp("weights")
    paths: dict[str, str] = {}

    def path(config: str) -> str:
        if config not in paths:
            paths[config] = networks.save(networks.build(config), folder / f"{len(paths)}.pth")
        return paths[config]

    return path
