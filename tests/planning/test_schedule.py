"""The simulated execution: small graphs by hand, then what holds for every graph."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slr_pipeline.errors import ConfigError
from slr_pipeline.planning.schedule import (
    Node,
    Task,
    cluster,
    critical_path,
    in_order,
    remaining_seconds,
    simulate,
)

DIAMOND = {
    "first": Task(1),
    "long": Task(5, ("first",)),
    "short": Task(2, ("first",)),
    "last": Task(1, ("long", "short")),
}


@pytest.mark.parametrize(("cores", "makespan"), [(1, 9), (2, 7), (8, 7)])
def test_a_diamond(cores: int, makespan: float) -> None:
    assert simulate(DIAMOND, [Node(cores)]).makespan == makespan
    assert critical_path(DIAMOND) == ["first", "long", "last"]
    assert remaining_seconds(DIAMOND) == {"first": 7, "long": 6, "short": 3, "last": 1}


def test_the_longest_way_to_the_end_starts_first() -> None:
    """In the order they stand they would take 5."""
    tasks = {"a": Task(1), "b": Task(1), "c": Task(2), "d": Task(4)}
    schedule = simulate(tasks, [Node(2)])
    assert schedule.makespan == 4
    assert schedule.start == {"d": 0, "c": 0, "a": 2, "b": 3}


def test_a_gpu_is_taken_by_one_at_a_time() -> None:
    trainings = {name: Task(3, threads=2, gpus=1) for name in "abc"}
    assert simulate(trainings, [Node(8, 1)]).makespan == 9
    assert simulate(trainings, [Node(8, 2)]).makespan == 6
    assert simulate(trainings, cluster(nodes=3, cores=2, gpus=3)).makespan == 3
    with pytest.raises(
        ConfigError, match="a: needs 1 nodes with 1 GPUs each, found 0; raise --nodes"
    ):
        simulate(trainings, [Node(8)])


def test_several_nodes_start_together() -> None:
    tasks = {"one": Task(2, threads=2, gpus=1), "both": Task(3, threads=2, gpus=1, nodes=2)}
    schedule = simulate(tasks, cluster(nodes=2, cores=2, gpus=2))
    assert schedule.start == {"both": 0, "one": 3}
    with pytest.raises(ConfigError, match="both: needs 2 nodes with 1 GPUs each, found 1"):
        simulate(tasks, cluster(nodes=2, cores=2, gpus=1))


def test_a_task_without_gpu_leaves_the_gpu_nodes_free() -> None:
    tasks = {"feature": Task(9), "training": Task(5, threads=2, gpus=1)}
    assert simulate(tasks, [Node(2, 1), Node(2)]).start == {"feature": 0, "training": 0}


def test_more_threads_than_cores_take_the_node() -> None:
    tasks = {"wide": Task(2, threads=8), "narrow": Task(1)}
    assert simulate(tasks, [Node(2)]).makespan == 3


def test_gpus_are_dealt_out_in_turn() -> None:
    assert [node.gpus for node in cluster(nodes=3, cores=4, gpus=4)] == [2, 1, 1]


def test_a_circle_is_found() -> None:
    with pytest.raises(ValueError, match="circle"):
        in_order({"a": Task(1, ("b",)), "b": Task(1, ("a",))})


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Task]:
    tasks = {}
    for number in range(draw(st.integers(1, 12))):
        after = draw(st.sets(st.sampled_from(sorted(tasks)), max_size=3)) if tasks else set()
        tasks[f"t{number}"] = Task(
            draw(st.integers(0, 20)),
            tuple(sorted(after)),
            threads=draw(st.integers(1, 4)),
            gpus=draw(st.integers(0, 1)),
        )
    return tasks


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(1, 3), st.integers(4, 6), st.integers(1, 3))
def test_of_every_graph(tasks: dict[str, Task], nodes: int, cores: int, gpus: int) -> None:
    machines = cluster(nodes, cores, gpus)
    schedule = simulate(tasks, machines)
    work = sum(task.seconds * task.threads for task in tasks.values())
    gpu_work = sum(task.seconds * task.gpus for task in tasks.values())
    longest = sum(tasks[name].seconds for name in critical_path(tasks))
    assert schedule.makespan >= max(longest, work / (nodes * cores), gpu_work / gpus)
    # One after the other is the longest it can take: nothing is idle while something is ready.
    assert schedule.makespan <= sum(task.seconds for task in tasks.values())
    for name, task in tasks.items():
        assert schedule.end[name] == schedule.start[name] + task.seconds
        assert all(schedule.start[name] >= schedule.end[other] for other in task.after)
    for now in schedule.start.values():
        running = [t for n, t in tasks.items() if schedule.start[n] <= now < schedule.end[n]]
        assert sum(task.threads for task in running) <= nodes * cores
        assert sum(task.gpus for task in running) <= gpus
