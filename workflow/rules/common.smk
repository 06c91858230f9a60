"""Input functions and the settings that rules share."""

from slr_pipeline.config import SPLITS
from slr_pipeline.samples import labels_digest, shards, videos_digest
from slr_pipeline.schema import DEPTH_FEATURES, FEATURES

RESULTS = CONFIG.results
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
    track="|".join(CONFIG.tracks),


def shard_files(pattern, *splits):
    """One file per shard of these splits; `pattern` has {split} and {shard}."""
    return [
        pattern.format(split=split, shard=shard)
        for split in splits
        for shard in SHARDS[split]
    ]


def stream_logits(split):
    """Input function: logits of a track's streams on one split, in the order of its weights."""
    return lambda wildcards: [
        f"{RESULTS}/streams/{stream}/train/logits/{split}.h5"
        for stream in CONFIG.tracks[wildcards.track].streams
    ]


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
