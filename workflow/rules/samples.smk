"""Samples. In: videos and the sample table. Out: verify/{split}/{shard}.csv, quarantine.csv, config.yaml."""


rule config:
    """Keep the checked configuration of the run beside its results."""
    output:
        f"{RESULTS}/config.yaml",
    log:
        f"{RESULTS}/logs/config.log",
    localrule: True
    conda:
        "../envs/slr.yaml"
    params:
        config=CONFIG.model_dump_json(),
    message:
        told("{rule}; {log}")
    shell:
        "python -m slr_pipeline.steps.config --config {params.config:q} --out {output:q} 2> {log:q}"


rule verify:
    """Decode every video of a shard once, before anything costly runs."""
    output:
        f"{RESULTS}/verify/{{split}}/{{shard}}.csv",
    log:
        f"{RESULTS}/logs/verify/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/verify/{{split}}/{{shard}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        data=untracked(DATA),
        shard_size=untracked(CONFIG.shard_size),
        seconds=CONFIG.verify.seconds_per_video,
        videos=lambda wildcards: videos_digest(SHARDS[wildcards.split][wildcards.shard]),
    message:
        told("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -m slr_pipeline.steps.verify --data {params.data:q} --split {wildcards.split} "
        "--shard {wildcards.shard} --shard-size {params.shard_size} "
        "--seconds-per-video {params.seconds} --out {output:q} 2> {log:q}"


rule quarantine:
    """Gather the samples that failed; stop the run when there are too many."""
    input:
        shard_files(f"{RESULTS}/verify/{{split}}/{{shard}}.csv", *SPLITS),
    output:
        report(
            f"{RESULTS}/quarantine.csv",
            caption="../report/quarantine.rst",
            category="Samples",
        ),
    log:
        f"{RESULTS}/logs/quarantine.log",
    benchmark:
        f"{RESULTS}/benchmarks/quarantine.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=CONFIG.verify.model_dump_json(),
    message:
        told("{rule}; {log}")
    shell:
        "python -m slr_pipeline.steps.quarantine --settings {params.settings:q} "
        "--verified {input:q} --out {output:q} 2> {log:q}"
