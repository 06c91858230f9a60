"""Input functions and the settings that rules share."""

import json
import os

from slr_pipeline.config.experiment import SPLITS
from slr_pipeline.config.estimators import ON_GPU, files_of
from slr_pipeline.config.memory import prediction_mb, training_mb
from slr_pipeline.config.streams import (
    evaluation_settings,
    recipe_of,
    weights_settings,
)
from slr_pipeline.planning.rates import training_order
from slr_pipeline.samples.shards import labels_digest, shards, signers_digest
from slr_pipeline.samples.videos import digests
from slr_pipeline.schema import DEPTH_FEATURES, FEATURES, PICTURE_FEATURES

# In the order in which free cores take them, by track.
BY_TRACK = training_order(CONFIG)
TRAINED = [stream for streams in BY_TRACK for stream in streams]
# Priority of short jobs that many wait for, or that the user does.
FIRST = 2 * len(TRAINED) + 2
# Each fold trains without some signers of train and computes logits for them.
FOLDS = [f"fold{number}" for number in range(1, (CONFIG.folds or 0) + 1)]
PHASES = ["train", "finetune", *FOLDS]
# On a CPU, streams train side by side with one thread each: torch's threads busy-wait, so two of
# them on shared cores are slower than one. Beside a GPU, the threads load the items.
GPUS = 0 if CONFIG.device == "cpu" else 1
DEVICE = "cpu" if CONFIG.device == "cpu" else "cuda"
TRAINING_THREADS = 1 if CONFIG.device == "cpu" else 8
DATA = CONFIG.data.model_dump_json()
POSE_GPUS = GPUS if CONFIG.features.keypoints.estimator in ON_GPU else 0
# Features that one pass of the pose estimator computes.
POSE_FEATURES = ["keypoints"]
if CONFIG.features.heatmaps.source == "network":
    POSE_FEATURES.append("heatmaps")
SHARDS = {split: shards(TABLE.split(split), CONFIG.shard_size) for split in SPLITS}
DUPLICATES = "<results>/duplicates.csv"
# What `verify` remembers of each video.
VIDEOS = f"{CONFIG.results}/videos"
DIGESTS = {}


wildcard_constraints:
    split="|".join(SPLITS),
    shard="all|[01]+",
    stream="|".join(CONFIG.streams),
    phase="|".join(PHASES),
    # The first seed of a phase has its folder, the others have folders in it.
    training=f"({'|'.join(PHASES)})(/seed[0-9]+)?",
    track="|".join(CONFIG.tracks),


def shard_files(pattern, *splits, **values):
    """One file per shard of the splits; `values` fill the pattern's other wildcards."""
    return [
        path
        for split in splits
        for path in expand(pattern, split=split, shard=SHARDS[split], **values)
    ]


def videos_digest(wildcards):
    """Changes with the files of a shard: then `verify` runs again."""
    return shard_digests(wildcards.split, wildcards.shard)[0]


def content_digest(wildcards):
    """Changes with the content of a shard's videos: then its features are made again."""
    return shard_digests(wildcards.split, wildcards.shard)[1]


def shard_digests(split, shard):
    """Both digests; computed anew as soon as `verify` has run."""
    path = f"{VIDEOS}/{split}/{shard}.csv"
    time = os.stat(path).st_mtime_ns if os.path.exists(path) else 0
    if (split, shard, time) not in DIGESTS:
        DIGESTS[split, shard, time] = digests(
            SHARDS[split][shard],
            path,
            CONFIG.verify.seconds_per_video,
            CONFIG.fidelity,
        )
    return DIGESTS[split, shard, time]


def feature_files(features, *splits):
    """One file per feature and shard of the splits."""
    pattern = "<results>/features/{feature}/{split}/{shard}.h5"
    return [
        path
        for feature in features
        for path in shard_files(pattern, *splits, feature=feature)
    ]


def stream_features(stream, *splits):
    """Feature files that a stream reads for the splits."""
    return feature_files(CONFIG.stream_features(stream), *splits)


def recipe_phase(training):
    """The phase whose recipe a training has: `train/seed2` and a fold have that of `train`."""
    return "finetune" if training.startswith("finetune") else "train"


def stream_settings(stream, training):
    """A stream's section for a training: `train` does not read the settings of `finetune`."""
    unused = None if recipe_phase(training) == "finetune" else {"finetune"}
    return CONFIG.streams[stream].model_dump_json(exclude=unused)


def retraining_settings(stream, training):
    """The part of a stream's section whose change reruns a training."""
    settings = weights_settings(CONFIG.streams[stream], recipe_phase(training))
    return json.dumps(settings)


def start_weights(wildcards):
    """Input function: initial weights of a training as a list, empty for random weights."""
    if recipe_phase(wildcards.training) == "finetune":
        before = wildcards.training.replace("finetune", "train")  # of the same seed
        return [f"<results>/streams/{wildcards.stream}/{before}/model.safetensors"]
    init = CONFIG.streams[wildcards.stream].init
    return [] if init is None else [init.path]


def processes(stream):
    """Number of processes that train a stream."""
    return CONFIG.streams[stream].gpus * CONFIG.streams[stream].nodes


def training_memory(stream, training):
    """Memory of a training on each of its machines, in MB."""
    settings = CONFIG.streams[stream]
    recipe = recipe_of(settings, recipe_phase(training))
    return training_mb(settings, recipe, DEVICE, TRAINING_THREADS)


def of_several(wildcards, value):
    """A resource that only a training by several processes has."""
    return value if processes(wildcards.stream) > 1 else None


def launcher(stream):
    """Command that starts the processes of a training within a SLURM job.

    Outside SLURM the training starts the processes of its machine itself.
    """
    settings, tasks = CONFIG.streams[stream], processes(stream)
    if tasks == 1:
        return ""
    return (
        f"${{SLURM_JOB_ID:+srun --nodes={settings.nodes} --ntasks={tasks} "
        f"--ntasks-per-node={settings.gpus} --cpus-per-task={TRAINING_THREADS} "
        "--kill-on-bad-exit=1} "
    )


def has_epochs(wildcards):
    """Whether a training has epochs, so that it needs the samples of train and val."""
    phase = recipe_phase(wildcards.training)
    return recipe_of(CONFIG.streams[wildcards.stream], phase).epochs > 0


def training_flags(stream, training):
    """Flags of a training: its phase and seed; a fold is phase `train` without some signers."""
    phase, *seed = training.split("/")
    flags = ["--phase", recipe_phase(training)]
    if phase == "train" and CONFIG.protocol_of(stream) == "challenge":
        flags += ["--protocol", "challenge"]
    if phase in FOLDS:
        flags += ["--fold", str(FOLDS.index(phase) + 1), "--folds", str(len(FOLDS))]
    if seed:
        flags += ["--seed-number", seed[0].removeprefix("seed")]
    return flags


def models(ending):
    """Input function: a file of the model of each seed, in their order."""
    return lambda wildcards: [
        f"<results>/{folder}/model.{ending}"
        for folder in CONFIG.trainings(wildcards.stream, wildcards.phase)
    ]


def pose_files():
    """Weights and other files that the pose estimator needs beside its package."""
    return [
        path
        for section in (CONFIG.features.keypoints, CONFIG.features.heatmaps)
        for path in files_of(section).values()
    ]


def network_heatmaps():
    """Flags of a keypoints job that also stores the heat-maps of the pose network."""
    if CONFIG.features.heatmaps.source == "drawn":
        return []
    return ["--heatmaps", CONFIG.features.heatmaps.model_dump_json()]


def drawn_heatmaps(stream):
    """Flags of a stream that draws its heat-maps from keypoints instead of reading them."""
    if CONFIG.streams[stream].model != "sstcn" or CONFIG.features.heatmaps.stored:
        return []
    return ["--heatmaps", CONFIG.features.heatmaps.model_dump_json()]


def predicted_splits(wildcards):
    """Splits that a model has logits for: those it has not seen; of a fold, train."""
    if wildcards.phase in FOLDS:
        return ("train",)
    return CONFIG.unseen_splits(wildcards.stream, wildcards.phase)


def by_split(paths, splits):
    """Flags with the feature files of each split."""
    return [
        word
        for split in splits
        for word in (
            "--features",
            *(path for path in paths if path.split("/")[-2] == split),
        )
    ]


def stream_logits(split):
    """Input function: logits of a track's streams on a split, in the order of its weights.

    Models fine-tuned on val only have logits for test. Empty if a stream has none for the split.
    """

    def files(wildcards):
        track = CONFIG.tracks[wildcards.track]
        logits = [
            logits_file(
                stream, CONFIG.phases(stream)[-1] if split == "test" else "train", split
            )
            for stream in track.streams
        ] + [untuned_file(stream, split) for stream in track.untuned]
        return [] if None in logits else logits

    return files


def out_of_fold(track):
    """Out-of-fold logits of train, a list per stream of a track; empty if nothing is fitted to them."""
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


def logits_file(stream, phase, split):
    """Logits of a stream, computed here or imported; None if there are none."""
    settings = CONFIG.streams[stream]
    if settings.model == "imported":
        return getattr(settings, split)
    if phase not in FOLDS and split not in CONFIG.unseen_splits(stream, phase):
        return None
    # No pathvar: Snakemake does not expand them in params, where this path appears too.
    return f"{CONFIG.results}/streams/{stream}/{phase}/logits/{split}.h5"


def untuned_file(stream, split):
    """Logits of a stream from before fine-tuning; None if there are none."""
    given = (
        getattr(CONFIG.streams[stream], "untuned", None) if split == "test" else None
    )
    return given or logits_file(stream, "train", split)


def stream_metrics():
    """Metrics of every stream and phase."""
    return [
        f"<results>/streams/{stream}/{phase}/metrics.json"
        for stream in CONFIG.streams
        for phase in CONFIG.phases(stream)
    ]


def trained_models():
    """History and weights of every training of the streams with a model."""
    return [
        f"<results>/{folder}/{file}"
        for stream in TRAINED
        for phase in CONFIG.phases(stream)
        for folder in CONFIG.trainings(stream, phase)
        for file in ("history.csv", "model.safetensors")
    ]


def track_files(*names):
    """Files of these names of every track."""
    return expand("<results>/tracks/{track}/{name}", track=CONFIG.tracks, name=names)


def other_predictions(track):
    """Files made elsewhere: the template of a track's submission and a baseline to compare with."""
    settings = CONFIG.tracks[track]
    return [path for path in (settings.template, settings.baseline) if path]


def urgency(stream):
    """Priority of a job that this stream waits for."""
    return 2 * (len(TRAINED) - TRAINED.index(stream))


def feature_urgency(feature):
    """Priority of a job that makes a feature: before the first training that reads it.

    Without a GPU, before all trainings of the track: short jobs at the end would leave all but
    one core free while the last feature is read by the last training.
    """
    for streams in BY_TRACK:
        readers = [name for name in streams if feature in CONFIG.stream_features(name)]
        if readers:
            return urgency(readers[0] if GPUS else streams[0]) + 1
    return 0


def start_message(text):
    """Message when a job starts; None in a dry run, which then prints the whole job."""
    return None if workflow.output_settings.dryrun else text


def as_json(section):
    """A param with the settings of a section; a function, whose braces are no wildcards."""
    return lambda wildcards: section.model_dump_json()


def untracked(value):
    """A param whose change does not rerun a job; a digest tracks its content instead.

    Snakemake does not compare params that are functions of the output.
    """
    return lambda wildcards, output: value


def kept(path):
    """A file of a picture feature; without `keep_features`, Snakemake deletes it after its last use."""
    return update(path) if CONFIG.keep_features else temp(path)


def stored_features():
    """Features that the data and the config allow and that stay on disk."""
    depth = all(sample.depth for sample in TABLE.samples)
    drawn = () if CONFIG.features.heatmaps.stored else ("heatmaps",)
    dropped = () if CONFIG.keep_features else PICTURE_FEATURES
    skipped = (*drawn, *dropped, *(() if depth else DEPTH_FEATURES))
    return [feature for feature in FEATURES if feature not in skipped]


def shown_files():
    """Files of the shard that the report shows a sample of: its videos, then its features.

    The shard is of train if the videos of train are read. Empty if none are.
    """
    if not CONFIG.read_splits():
        return []
    split = CONFIG.read_splits()[0]
    shard = min(SHARDS[split])
    read = {"keypoints"}.union(*map(CONFIG.stream_features, TRAINED))
    return [f"<results>/verify/{split}/{shard}.csv"] + [
        f"<results>/features/{feature}/{split}/{shard}.h5"
        for feature in stored_features()
        if feature in read
    ]


def verified_samples():
    """Results of `verify` for every sample whose video is read; of all samples if none is.

    The target `features` also works where no stream reads a video.
    """
    splits = CONFIG.read_splits() or SPLITS
    return shard_files("<results>/verify/{split}/{shard}.csv", *splits)


def excluded(wildcards):
    """Input function: the duplicates that a phase trains without."""
    excludes = CONFIG.data.duplicates == "exclude" and has_epochs(wildcards)
    return [DUPLICATES] if excludes else []


def leaks():
    """The duplicates, if the videos of train and test are read.

    `ancient` waits only: other videos also change the logits.
    """
    read = {"train", "test"} <= set(CONFIG.read_splits())
    return [ancient(DUPLICATES)] if read else []


def sample_checks():
    """Results of `verify` and `quality` for every sample whose video is read."""
    splits = CONFIG.read_splits()
    verified = shard_files("<results>/verify/{split}/{shard}.csv", *splits)
    return verified + expand("<results>/quality/{split}.csv", split=splits)


def keypoints_minutes(settings):
    """Time limit of a keypoints job: a large network takes about 4 s per frame on a CPU."""
    slow = settings.estimator in ("mmpose", "onnx") and not GPUS
    return 4320 if slow else 240


def flow_minutes(settings):
    """Time limit of a flow job: the published parameters take about 3 s per frame at 512 x 512."""
    return 4320 if settings.fidelity == "published" else 240
