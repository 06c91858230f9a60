"""Input functions and the settings that rules share."""

from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.config.estimators import ON_GPU, files_of
from slr_pipeline.samples.table import labels_digest, shards, videos_digest
from slr_pipeline.schema import DEPTH_FEATURES, FEATURES, PICTURE_FEATURES

RESULTS = CONFIG.results
PHASES = CONFIG.phases
# What a phase was not trained on.
UNSEEN = {"train": ("val", "test"), "finetune": ("test",)}
TRAINED = [
    name for name, stream in CONFIG.streams.items() if stream.model != "imported"
]
# Trainings that leave signers of train out, each of them for its logits of those.
FOLDS = [f"fold{number}" for number in range(1, (CONFIG.folds or 0) + 1)]
# Streams train side by side on a CPU, with one thread each: torch's threads wait busily for each
# other, and two on shared cores are slower than one. Beside a GPU the threads load the items.
GPUS = 0 if CONFIG.device == "cpu" else 1
TRAINING_THREADS = 1 if CONFIG.device == "cpu" else 8
DATA = CONFIG.data.model_dump_json()
POSE_GPUS = GPUS if CONFIG.features.keypoints.estimator in ON_GPU else 0
# What one pass of the pose estimator makes.
POSE_FEATURES = ["keypoints"]
if CONFIG.features.heatmaps.source == "network":
    POSE_FEATURES.append("heatmaps")
SHARDS = {split: shards(TABLE.split(split), CONFIG.shard_size) for split in SPLITS}


wildcard_constraints:
    split="|".join(SPLITS),
    shard="all|[01]+",
    stream="|".join(CONFIG.streams),
    phase="|".join([*UNSEEN, *FOLDS]),
    track="|".join(CONFIG.tracks),


def shard_files(pattern, *splits):
    """One file per shard of these splits; `pattern` has {split} and {shard}."""
    return [
        pattern.format(split=split, shard=shard)
        for split in splits
        for shard in SHARDS[split]
    ]


def stream_features(stream, *splits):
    """The files of the features that a stream reads, of these splits."""
    return [
        path
        for feature in CONFIG.stream_features(stream)
        for path in shard_files(
            f"{RESULTS}/features/{feature}/{{split}}/{{shard}}.h5", *splits
        )
    ]


def stream_settings(stream, phase):
    """A stream's section for a phase: `train` does not depend on how fine-tuning goes."""
    unused = None if phase == "finetune" else {"finetune"}
    return CONFIG.streams[stream].model_dump_json(exclude=unused)


def start_weights(wildcards):
    """Input function: what a phase starts from; a list, empty where that is random."""
    if wildcards.phase == "finetune":
        return [f"{RESULTS}/streams/{wildcards.stream}/train/model.safetensors"]
    init = CONFIG.streams[wildcards.stream].init
    return [] if init is None else [init.path]


def processes(stream):
    """How many train a stream together."""
    return CONFIG.streams[stream].gpus * CONFIG.streams[stream].nodes


def of_several(wildcards, value):
    """A resource of a training by several processes; others do without."""
    return value if processes(wildcards.stream) > 1 else None


def launcher(stream):
    """Command before a training that starts its processes, in a job of SLURM.

    Elsewhere the training itself starts those of its machine.
    """
    settings, tasks = CONFIG.streams[stream], processes(stream)
    if tasks == 1:
        return ""
    return (
        f"${{SLURM_JOB_ID:+srun --nodes={settings.nodes} --ntasks={tasks} "
        f"--ntasks-per-node={settings.gpus} --cpus-per-task={TRAINING_THREADS} "
        "--kill-on-bad-exit=1} "
    )


def phase_flags(phase):
    """Flags of a phase: a fold is phase `train` without some signers."""
    if phase not in FOLDS:
        return ["--phase", phase]
    fold = str(FOLDS.index(phase) + 1)
    return ["--phase", "train", "--fold", fold, "--folds", str(len(FOLDS))]


def pose_files():
    """The files that the pose estimator needs beside its package: its weights."""
    return [
        path
        for section in (CONFIG.features.keypoints, CONFIG.features.heatmaps)
        for path in files_of(section).values()
    ]


def network_heatmaps():
    """Flags of a job that makes the network's own heat-maps with the keypoints."""
    if CONFIG.features.heatmaps.source == "drawn":
        return []
    return ["--heatmaps", CONFIG.features.heatmaps.model_dump_json()]


def drawn_heatmaps(stream):
    """Flags of a stream whose heat-maps are not stored but drawn from keypoints."""
    if CONFIG.streams[stream].model != "sstcn" or CONFIG.features.heatmaps.stored:
        return []
    return ["--heatmaps", CONFIG.features.heatmaps.model_dump_json()]


def stream_logits(split):
    """Input function: logits of a track's streams on one split, in the order of its weights.

    What was fine-tuned on val answers test alone. None of val where a stream has none.
    """
    phase = PHASES[-1] if split == "test" else "train"

    def files(wildcards):
        track = CONFIG.tracks[wildcards.track]
        found = [
            *(logits_file(stream, phase, split) for stream in track.streams),
            *(logits_file(stream, "train", split) for stream in track.untuned),
        ]
        return [] if None in found else found

    return files


def out_of_fold(track):
    """Of each stream of a track the logits of train that something is fitted to, if any are."""
    settings = CONFIG.tracks[track]
    if not FOLDS or settings.fusion == "published":
        return []
    return [
        (
            [CONFIG.streams[stream].out_of_fold]
            if CONFIG.streams[stream].model == "imported"
            else [logits_file(stream, fold, "train") for fold in FOLDS]
        )
        for stream in settings.streams
    ]


def unseen_splits(stream, phase):
    """The splits that a phase of a stream was not trained on and answers."""
    return [split for split in UNSEEN[phase] if logits_file(stream, phase, split)]


def logits_file(stream, phase, split):
    """The logits of a stream, made here or elsewhere; None where there are none."""
    settings = CONFIG.streams[stream]
    if settings.model == "imported":
        return getattr(settings, split)
    return f"{RESULTS}/streams/{stream}/{phase}/logits/{split}.h5"


def stream_metrics():
    """The metrics of every stream and phase; logits made elsewhere know no phase."""
    return [
        f"{RESULTS}/streams/{stream}/{phase}/metrics.json"
        for stream, settings in CONFIG.streams.items()
        for phase in (("train",) if settings.model == "imported" else PHASES)
    ]


def other_predictions(track):
    """The files of others that a track is written or compared by."""
    settings = CONFIG.tracks[track]
    return [path for path in (settings.template, settings.baseline) if path]


def told(text):
    """What is said of a job when it starts; a dry run shows all there is to a job instead."""
    return None if workflow.output_settings.dryrun else text


def untracked(value):
    """A param that is passed on and is no reason to run a job again; digests stand for it.

    Snakemake does not compare params that are functions of the output.
    """
    return lambda wildcards, output: value


def kept(path):
    """The file of a feature of pictures; without `keep_features` it goes with its last reader."""
    return path if CONFIG.keep_features else temp(path)


def stored_features():
    """Features that can be made of the data and stay, without those that training draws itself."""
    depth = all(sample.depth for sample in TABLE.samples)
    drawn = () if CONFIG.features.heatmaps.stored else ("heatmaps",)
    dropped = () if CONFIG.keep_features else PICTURE_FEATURES
    skipped = (*drawn, *dropped, *(() if depth else DEPTH_FEATURES))
    return [feature for feature in FEATURES if feature not in skipped]


def shown_files():
    """Of a shard of train what the report shows a sample of: its videos, then its features.

    Nothing where every stream is made elsewhere: no video is read then.
    """
    if not TRAINED:
        return []
    shard = min(SHARDS["train"])
    read = {"keypoints"}.union(*map(CONFIG.stream_features, TRAINED))
    return [f"{RESULTS}/verify/train/{shard}.csv"] + [
        f"{RESULTS}/features/{feature}/train/{shard}.h5"
        for feature in stored_features()
        if feature in read
    ]


def sample_checks():
    """What was found out about every sample; nothing where no video is read."""
    if not TRAINED:
        return []
    verified = shard_files(f"{RESULTS}/verify/{{split}}/{{shard}}.csv", *SPLITS)
    return verified + expand(f"{RESULTS}/quality/{{split}}.csv", split=SPLITS)


def keypoints_minutes(settings):
    """Runtime of a keypoints job: without a GPU a large network takes some 4 s a frame."""
    slow = settings.estimator in ("mmpose", "onnx") and not GPUS
    return 4320 if slow else 240


def flow_minutes(settings):
    """Runtime of a flow job: the published parameters take some 3 s a frame, at 512 x 512."""
    return 4320 if settings.fidelity == "published" else 240
