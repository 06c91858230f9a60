"""A simulated execution of tasks that wait for each other: makespan, use, critical path. Pure."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from slr_pipeline.errors import ConfigError


@dataclass(frozen=True)
class Task:
    """What takes `seconds`, once all of `after` are done, and on each of its `nodes` the rest."""

    seconds: float
    after: tuple[str, ...] = ()
    threads: int = 1
    gpus: int = 0
    nodes: int = 1


@dataclass(frozen=True)
class Node:
    """A machine."""

    cores: int
    gpus: int = 0


@dataclass(frozen=True)
class Schedule:
    """When each task starts and ends, seconds from the beginning."""

    start: dict[str, float]
    end: dict[str, float]

    @property
    def makespan(self) -> float:
        """Seconds until all is done."""
        return max(self.end.values(), default=0.0)


def cluster(nodes: int, cores: int, gpus: int) -> list[Node]:
    """So many machines of `cores` each; `gpus` in all, dealt out in turn."""
    return [Node(cores, gpus // nodes + (node < gpus % nodes)) for node in range(nodes)]


def simulate(tasks: Mapping[str, Task], nodes: Sequence[Node]) -> Schedule:
    """List scheduling: whatever is ready starts where it fits, the longest way to the end first.

    A task that wants more cores than a node has gets all of it, as Snakemake has it. One without a
    GPU goes where the fewest GPUs, then cores, are free. ConfigError when no nodes have the GPUs.
    """
    most_cores = max(node.cores for node in nodes)
    _check_they_fit(tasks, nodes)
    remaining = remaining_seconds(tasks)
    waits = {name: len(set(task.after)) for name, task in tasks.items()}
    followers = _followers(tasks)
    free = [[node.gpus, node.cores] for node in nodes]
    ready = sorted((-remaining[name], name) for name, count in waits.items() if not count)
    running: list[tuple[float, str, list[int]]] = []
    start: dict[str, float] = {}
    end: dict[str, float] = {}
    now = 0.0
    while ready or running:
        later = []
        for rank, name in ready:
            task = tasks[name]
            threads = min(task.threads, most_cores)
            places = _places(free, threads, task)
            if not places:
                later.append((rank, name))
                continue
            for place in places:
                free[place][0] -= task.gpus
                free[place][1] -= threads
            start[name], end[name] = now, now + task.seconds
            heapq.heappush(running, (end[name], name, places))
        ready = later
        now = running[0][0]
        while running and running[0][0] == now:
            _, name, places = heapq.heappop(running)
            for place in places:
                free[place][0] += tasks[name].gpus
                free[place][1] += min(tasks[name].threads, most_cores)
            for follower in followers[name]:
                waits[follower] -= 1
                if not waits[follower]:
                    ready.append((-remaining[follower], follower))
        ready.sort()
    return Schedule(start, end)


def _check_they_fit(tasks: Mapping[str, Task], nodes: Sequence[Node]) -> None:
    for name, task in tasks.items():
        fitting = sum(node.gpus >= task.gpus for node in nodes)
        if fitting < task.nodes:
            raise ConfigError(
                f"{name}: needs {task.nodes} nodes with {task.gpus} GPUs each, found {fitting}; "
                "raise --nodes or --gpus"
            )


def _places(free: Sequence[Sequence[int]], threads: int, task: Task) -> list[int]:
    """The fitting nodes with the fewest free GPUs, then the fewest free cores; else none."""
    fitting = sorted(
        (gpus, cores, number)
        for number, (gpus, cores) in enumerate(free)
        if cores >= threads and gpus >= task.gpus
    )
    return [number for *_, number in fitting[: task.nodes]] if len(fitting) >= task.nodes else []


def remaining_seconds(tasks: Mapping[str, Task]) -> dict[str, float]:
    """Seconds from the start of each task to the end of the longest chain that begins with it."""
    followers = _followers(tasks)
    found: dict[str, float] = {}
    for name in reversed(in_order(tasks)):
        longest = max((found[follower] for follower in followers[name]), default=0.0)
        found[name] = tasks[name].seconds + longest
    return found


def critical_path(tasks: Mapping[str, Task]) -> list[str]:
    """The longest chain: no number of machines makes the run shorter than it."""
    remaining = remaining_seconds(tasks)
    followers = _followers(tasks)
    path: list[str] = []
    choice = [name for name, task in tasks.items() if not task.after]
    while choice:
        path.append(max(choice, key=lambda name: (remaining[name], name)))
        choice = followers[path[-1]]
    return path


def in_order(tasks: Mapping[str, Task]) -> list[str]:
    """The tasks, each behind those it waits for. ValueError for a circle."""
    waits = {name: len(set(task.after)) for name, task in tasks.items()}
    followers = _followers(tasks)
    order = [name for name, count in waits.items() if not count]
    for name in order:  # grows while it is walked
        for follower in followers[name]:
            waits[follower] -= 1
            if not waits[follower]:
                order.append(follower)
    if len(order) < len(tasks):
        raise ValueError("tasks wait for each other in a circle")
    return order


def _followers(tasks: Mapping[str, Task]) -> dict[str, list[str]]:
    """Of each task those that wait for it."""
    found: dict[str, list[str]] = {name: [] for name in tasks}
    for name, task in tasks.items():
        for other in dict.fromkeys(task.after):
            found[other].append(name)
    return found
