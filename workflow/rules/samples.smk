"""Samples. In: videos and the sample table. Out: verify/{split}/{shard}.csv, duplicates.csv, quarantine.csv, config.yaml."""


rule config:
    """Write the complete configuration of the run beside its results."""
    output:
        "<results>/config.yaml",
    log:
        "<logs>/config.log",
    localrule: True
    conda:
        "../envs/slr.yaml"
    params:
        config=as_json(CONFIG),
        version=2,  # raised when the meaning of the file changes
    message:
        start_message("{rule}; {log}")
    shell:
        "python -P -m slr_pipeline.steps config --settings {params.config:q} --out {output:q} 2> {log:q}"


rule verify:
    """Decode every video of a shard once, before anything expensive runs."""
    output:
        "<results>/verify/{split}/{shard}.csv",
    log:
        "<logs>/verify/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/verify/{split}/{shard}.tsv"
    priority: FIRST
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
        fidelity=CONFIG.fidelity,
        known=untracked(VIDEOS),
        videos=videos_digest,
    message:
        start_message("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -P -m slr_pipeline.steps verify --data {params.data:q} --split {wildcards.split} "
        "--shard {wildcards.shard} --shard-size {params.shard_size} "
        "--seconds-per-video {params.seconds} --fidelity {params.fidelity} "
        "--known {params.known:q} --out {output:q} 2> {log:q}"


rule duplicates:
    """List the samples that are copies of each other."""
    input:
        verified_samples(),
    output:
        report(
            "<results>/duplicates.csv",
            caption="../report/duplicates.rst",
            category="Samples",
        ),
    log:
        "<logs>/duplicates.log",
    benchmark:
        "<benchmarks>/duplicates.tsv"
    priority: FIRST
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        data=untracked(DATA),
        stops=CONFIG.data.duplicates == "error",
        labels=labels_digest(TABLE, SPLITS),
        signers=signers_digest(TABLE),
    message:
        start_message("{rule}; {log}")
    shell:
        "python -P -m slr_pipeline.steps duplicates --data {params.data:q} "
        "--verified {input:q} --out {output:q} 2> {log:q}"


rule quarantine:
    """List the samples that failed; stop the run if there are too many."""
    input:
        verified=verified_samples(),
        # Features wait for this list: with `error`, nothing is computed from duplicates.
        duplicates=DUPLICATES if CONFIG.data.duplicates == "error" else [],
    output:
        # `update` keeps the list if this job fails: without it, all features would be made again.
        report(
            update("<results>/quarantine.csv"),
            caption="../report/quarantine.rst",
            category="Samples",
        ),
    log:
        "<logs>/quarantine.log",
    benchmark:
        "<benchmarks>/quarantine.tsv"
    priority: FIRST
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        settings=as_json(CONFIG.verify),
        known=untracked(VIDEOS),
    message:
        start_message("{rule}; {log}")
    shell:
        "python -P -m slr_pipeline.steps quarantine --settings {params.settings:q} "
        "--verified {input.verified:q} --known {params.known:q} --out {output:q} 2> {log:q}"
