"""The jobs of a run and their files, as the rules in `workflow/rules` make them; nothing is run.

A test compares every job, its files, threads and GPU with what `snakemake --dry-run` plans: who
changes a rule changes it here too.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from slr_pipeline.config.estimators import ON_GPU
from slr_pipeline.config.experiment import SPLITS, Config, Split
from slr_pipeline.config.streams import ImportedSettings
from slr_pipeline.samples.table import SampleTable, shards
from slr_pipeline.schema import FEATURES, PICTURE_FEATURES

UNSEEN: dict[str, tuple[Split, ...]] = {"train": ("val", "test"), "finetune": ("test",)}
"""What a phase was not trained on; a fold answers the signers of train that it left out."""

MINUTES = {
    "verify": 60,
    "quarantine": 10,
    "keypoints": 240,
    "quality": 30,
    "frames": 120,
    "hand_crops": 120,
    "depth_hand_crops": 120,
    "pose_flow": 30,
    "flow": 240,
    "depth_flow": 240,
    "hha": 120,
    "heatmaps": 60,
    "train": 1440,
    "predict": 120,
    "evaluate": 30,
    "ensemble": 30,
    "report": 30,
}
"""The runtime that a rule asks a cluster for; some settings ask for more."""
SLOW_MINUTES = 4320

TRAINING_THREADS = 8
"""Of a process with a model beside a GPU; one without has one."""


@dataclass(frozen=True)
class Job:
    """One job. `inputs` are the files that other jobs make; `samples` those of its shard.

    `threads` are those of each of its `nodes`, `gpus` those of all. What is `temporary` is deleted
    once all that read it are done.
    """

    rule: str
    wildcards: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    log: str
    benchmark: str | None
    minutes: int | None = None
    threads: int = 1
    gpus: int = 0
    nodes: int = 1
    samples: int = 0
    temporary: bool = False

    @property
    def name(self) -> str:
        """The rule and its wildcards."""
        return " ".join([self.rule, *self.wildcards])


@dataclass(frozen=True)
class _Run:
    """What the jobs follow from: shards by split with their number of samples."""

    config: Config
    shards: Mapping[Split, Mapping[str, int]]
    needed: tuple[str, ...]

    def job(
        self,
        rule: str,
        wildcards: tuple[str, ...],
        inputs: Iterable[str],
        outputs: Iterable[str],
        *,
        threads: int = 1,
        gpus: int = 0,
        nodes: int = 1,
        samples: int = 0,
        temporary: bool = False,
    ) -> Job:
        """A job with the places of log and benchmark that all rules have."""
        results = self.config.results
        place = "/".join([rule, *wildcards])
        return Job(
            rule,
            wildcards,
            tuple(inputs),
            tuple(f"{results}/{output}" for output in outputs),
            f"{results}/logs/{place}.log",
            f"{results}/benchmarks/{place}.tsv",
            self.minutes(rule),
            threads=threads,
            gpus=gpus,
            nodes=nodes,
            samples=samples,
            temporary=temporary,
        )

    def minutes(self, rule: str) -> int:
        """The runtime of a rule."""
        keypoints = self.config.features.keypoints
        slow = keypoints.estimator in ("mmpose", "onnx") and self.config.device == "cpu"
        if rule in ("flow", "depth_flow"):
            slow = getattr(self.config.features, rule).fidelity == "published"
        elif rule != "keypoints":
            slow = False
        return SLOW_MINUTES if slow else MINUTES[rule]

    def files(self, folder: str, *splits: Split, suffix: str = ".h5") -> list[str]:
        """The file of each shard."""
        return [
            f"{self.config.results}/{folder}/{split}/{shard}{suffix}"
            for split in splits
            for shard in self.shards[split]
        ]

    def features(self, stream: str, *splits: Split) -> list[str]:
        """The files a stream reads."""
        names = self.config.stream_features(stream)
        return [path for name in names for path in self.files(f"features/{name}", *splits)]

    def logits(self, stream: str, phase: str, split: Split) -> list[str]:
        """The logits of a stream; none where they were made elsewhere."""
        if isinstance(self.config.streams[stream], ImportedSettings):
            return []
        return [f"{self.config.results}/streams/{stream}/{phase}/logits/{split}.h5"]

    def answers_val(self, stream: str) -> bool:
        """Whether a stream has logits of val: those made elsewhere may have none."""
        settings = self.config.streams[stream]
        return not isinstance(settings, ImportedSettings) or settings.val is not None

    @property
    def on_gpu(self) -> bool:
        """Whether jobs with a model ask for a GPU."""
        return self.config.device != "cpu"

    @property
    def threads(self) -> int:
        """Of a process with a model."""
        return TRAINING_THREADS if self.on_gpu else 1

    @property
    def pose_on_gpu(self) -> bool:
        """Whether the pose estimator can take a GPU."""
        return self.config.features.keypoints.estimator in ON_GPU

    @property
    def folds(self) -> tuple[str, ...]:
        return tuple(f"fold{number}" for number in range(1, (self.config.folds or 0) + 1))


def planned_jobs(config: Config, table: SampleTable) -> list[Job]:
    """Every job of the target `all`, each behind those whose files it reads."""
    found = {split: shards(table.split(split), config.shard_size) for split in SPLITS}
    counts = {split: {key: len(part) for key, part in found[split].items()} for split in SPLITS}
    run = _Run(config, counts, _needed_features(config))
    return [*_features(run), *_streams(run), *_tracks(run), _config(run), _report(run)]


def _needed_features(config: Config) -> tuple[str, ...]:
    """The features that the streams with a model read, and the keypoints these are made of."""
    read = {
        feature
        for name, stream in config.streams.items()
        if not isinstance(stream, ImportedSettings)
        for feature in config.stream_features(name)
    }
    return tuple(feature for feature in FEATURES if read and feature in read | {"keypoints"})


def _config(run: _Run) -> Job:
    results = run.config.results
    return Job("config", (), (), (f"{results}/config.yaml",), f"{results}/logs/config.log", None)


def _features(run: _Run) -> Iterator[Job]:
    results = run.config.results
    if not run.needed:
        return
    shards_of = [(split, shard, n) for split in SPLITS for shard, n in run.shards[split].items()]
    for split, shard, n in shards_of:
        yield run.job("verify", (split, shard), (), [f"verify/{split}/{shard}.csv"], samples=n)
    verified = run.files("verify", *SPLITS, suffix=".csv")
    yield run.job("quarantine", (), verified, ["quarantine.csv"])
    made = {feature: [feature] for feature in run.needed}
    if run.config.features.heatmaps.source == "network":
        made["keypoints"].append("heatmaps")
        made.pop("heatmaps", None)
    for feature, together in made.items():
        for split, shard, n in shards_of:
            inputs = [f"{results}/verify/{split}/{shard}.csv", f"{results}/quarantine.csv"]
            if feature != "keypoints":
                inputs.append(f"{results}/features/keypoints/{split}/{shard}.h5")
            outputs = [f"features/{name}/{split}/{shard}.h5" for name in together]
            dropped = feature in PICTURE_FEATURES and not run.config.keep_features
            yield run.job(
                feature,
                (split, shard),
                inputs,
                outputs,
                gpus=int(feature == "keypoints" and run.on_gpu and run.pose_on_gpu),
                samples=n,
                temporary=dropped,
            )
    for split in SPLITS:
        keypoints = run.files("features/keypoints", split)
        yield run.job("quality", (split,), keypoints, [f"quality/{split}.csv"])


def _streams(run: _Run) -> Iterator[Job]:
    fitted = run.config.fitted_streams()
    for stream, settings in run.config.streams.items():
        if isinstance(settings, ImportedSettings):
            yield run.job(
                "evaluate", (stream, "train"), (), [f"streams/{stream}/train/metrics.json"]
            )
            continue
        for phase in run.config.phases:
            yield _train(run, stream, phase)
            for split in UNSEEN[phase]:
                yield _predict(run, stream, phase, split)
            logits = [file for split in UNSEEN[phase] for file in run.logits(stream, phase, split)]
            metrics = f"streams/{stream}/{phase}/metrics.json"
            yield run.job("evaluate", (stream, phase), logits, [metrics])
        for fold in run.folds if stream in fitted else ():
            yield _train(run, stream, fold)
            yield _predict(run, stream, fold, "train")


def _train(run: _Run, stream: str, phase: str) -> Job:
    results, folder = run.config.results, f"streams/{stream}/{phase}"
    inputs = run.features(stream, "train", "val")
    inputs += [f"{results}/quality/{split}.csv" for split in ("train", "val")]
    if phase == "finetune":
        inputs.append(f"{results}/streams/{stream}/train/model.safetensors")
    outputs = [f"{folder}/{file}" for file in ("model.safetensors", "model.json", "history.csv")]
    settings = run.config.streams[stream]
    assert not isinstance(settings, ImportedSettings)
    return run.job(
        "train",
        (stream, phase),
        inputs,
        outputs,
        threads=run.threads * settings.gpus,
        gpus=int(run.on_gpu) * settings.gpus * settings.nodes,
        nodes=settings.nodes,
    )


def _predict(run: _Run, stream: str, phase: str, split: Split) -> Job:
    results, folder = run.config.results, f"streams/{stream}/{phase}"
    inputs = [f"{results}/{folder}/{file}" for file in ("model.safetensors", "model.json")]
    inputs += [*run.features(stream, split), f"{results}/quality/{split}.csv"]
    outputs = [f"{folder}/logits/{split}.h5"]
    wildcards = (stream, phase, split)
    return run.job("predict", wildcards, inputs, outputs, threads=run.threads, gpus=int(run.on_gpu))


def _tracks(run: _Run) -> Iterator[Job]:
    last = run.config.phases[-1]
    for track, settings in run.config.tracks.items():
        inputs = []
        for stream in settings.streams:
            inputs += run.logits(stream, last, "test")
        for stream in settings.untuned:
            inputs += run.logits(stream, "train", "test")
        members = [*settings.streams, *settings.untuned]
        if all(run.answers_val(stream) for stream in members):
            inputs += [file for stream in members for file in run.logits(stream, "train", "val")]
        if settings.fusion == "calibrated":
            for stream in settings.streams:
                inputs += [file for fold in run.folds for file in run.logits(stream, fold, "train")]
        files = ("submission.csv", "submission.zip", "metrics.json")
        yield run.job("ensemble", (track,), inputs, [f"tracks/{track}/{file}" for file in files])


def _report(run: _Run) -> Job:
    """The page reads what the run says of itself, and the features of one shard."""
    results, config = run.config.results, run.config
    inputs = [f"{results}/config.yaml"]
    for track in config.tracks:
        inputs += [
            f"{results}/tracks/{track}/{file}" for file in ("submission.csv", "metrics.json")
        ]
    for stream, settings in config.streams.items():
        imported = isinstance(settings, ImportedSettings)
        files = ("metrics.json", "history.csv", "model.safetensors")
        for phase in ("train",) if imported else config.phases:
            folder = f"{results}/streams/{stream}/{phase}"
            inputs += [f"{folder}/{file}" for file in files[: 1 if imported else None]]
    if run.needed:
        inputs += run.files("verify", *SPLITS, suffix=".csv")
        inputs += [f"{results}/quality/{split}.csv" for split in SPLITS]
        dropped = () if config.keep_features else PICTURE_FEATURES
        shown = [feature for feature in run.needed if feature not in dropped]
        shard = min(run.shards["train"])
        inputs += [f"{results}/features/{feature}/train/{shard}.h5" for feature in shown]
    return run.job("report", (), inputs, ["report/index.html"])


def made_files(jobs: Iterable[Job]) -> list[str]:
    """Every file of a finished run, without what a call of Snakemake leaves in `.snakemake`.

    Outputs, logs, benchmarks, and the record that Snakemake keeps of each output, as it names it.
    """
    files = []
    for job in jobs:
        files += [*job.outputs, job.log, *([job.benchmark] if job.benchmark else [])]
        files += [snakemake_record(output) for output in job.outputs]
    return files


def snakemake_record(output: str) -> str:
    """Where Snakemake keeps what it knows of an output; what no file name can hold is cut."""
    name = base64.urlsafe_b64encode(output.encode()).decode()
    parts = [name[start : start + 254] for start in range(0, len(name), 254)]
    return "/".join([".snakemake/metadata", *(f"@{part}" for part in parts[:-1]), parts[-1]])


def made_folders(files: Iterable[str]) -> set[str]:
    """Every folder these files lie in, the working folder left out."""
    return {str(folder) for file in files for folder in PurePath(file).parents} - {"."}
