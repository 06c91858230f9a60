"""Input functions and the settings that rules share."""

from slr_pipeline.config import SPLITS
from slr_pipeline.samples import labels_digest, shards, videos_digest
from slr_pipeline.schema import DEPTH_FEATURES, FEATURES

RESULTS = CONFIG.results
PHASES = {"strict": ("train",), "challenge": ("train", "finetune")}[CONFIG.protocol]
# What a phase was not trained on.
UNSEEN = {"train": ("val", "test"), "finetune": ("test",)}
# Streams train side by side on a CPU, with one thread each: torch's threads wait busily for each
# other, and two on shared cores are slower than one. Beside a GPU the threads load the items.
GPUS = 0 if CONFIG.device == "cpu" else 1
TRAINING_THREADS = 1 if CONFIG.device == "cpu" else 8
DATA = CONFIG.data.model_dump_json()
SHARDS = {split: shards(TABLE.split(split), CONFIG.shard_size) for split in SPLITS}
VIDEOS = {
    (split, shard): videos_digest(samples)
    for split in SPLITS
    for shard, samples in SHARDS[split].items()
}


wildcard_constraints:
    split="|".join(SPLITS),
    shard="all|[01]+",
    stream="|".join(CONFIG.streams),
    phase="|".join(UNSEEN),
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
    unused = {"finetune"} if phase == "train" else None
    return CONFIG.streams[stream].model_dump_json(exclude=unused)


def start_weights(wildcards):
    """Input function: what a phase starts from; a list, empty where that is random."""
    if wildcards.phase == "finetune":
        return [f"{RESULTS}/streams/{wildcards.stream}/train/model.safetensors"]
    init = CONFIG.streams[wildcards.stream].init
    return [] if init is None else [init.path]


def drawn_heatmaps(stream):
    """Flags of a stream whose heat-maps are not stored but drawn from keypoints."""
    if CONFIG.streams[stream].model != "sstcn" or CONFIG.features.heatmaps.stored:
        return []
    return ["--heatmaps", CONFIG.features.heatmaps.model_dump_json()]


def stream_logits(split):
    """Input function: logits of a track's streams on one split, in the order of its weights.

    What was fine-tuned on val answers test alone.
    """
    phase = PHASES[-1] if split == "test" else "train"
    return lambda wildcards: [
        logits_file(stream, phase, split)
        for stream in CONFIG.tracks[wildcards.track].streams
    ]


def logits_file(stream, phase, split):
    """The logits of a stream, made here or elsewhere."""
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


def untracked(value):
    """A param that is passed on and is no reason to run a job again; digests stand for it.

    Snakemake does not compare params that are functions of the output.
    """
    return lambda wildcards, output: value


def stored_features():
    """Features that can be made of the data, without those that training draws by itself."""
    depth = all(sample.depth for sample in TABLE.samples)
    drawn = () if CONFIG.features.heatmaps.stored else ("heatmaps",)
    skipped = (*drawn, *(() if depth else DEPTH_FEATURES))
    return [feature for feature in FEATURES if feature not in skipped]


def flow_minutes(settings):
    """Runtime of a flow job: the published parameters take some 3 s a frame, at 512 x 512."""
    return 4320 if settings.fidelity == "published" else 240
