"""Tracks. In: logits of the streams. Out: tracks/{track}/, metrics.csv and classes.csv."""


rule ensemble:
    """Fuse the streams of a track; write its submission, answers and metrics."""
    input:
        val=stream_logits("val"),
        test=stream_logits("test"),
        out_of_fold=lambda wildcards: sum(out_of_fold(wildcards.track), []),
        others=lambda wildcards: other_predictions(wildcards.track),
        duplicates=leaks(),
    output:
        submission=report(
            "<results>/tracks/{track}/submission.csv",
            caption="../report/submission.rst",
            category="Tracks",
            labels={"track": "{track}", "what": "submission"},
        ),
        archive="<results>/tracks/{track}/submission.zip",
        predictions=report(
            "<results>/tracks/{track}/predictions.csv",
            caption="../report/predictions.rst",
            category="Tracks",
            labels={"track": "{track}", "what": "answers"},
        ),
        metrics=report(
            "<results>/tracks/{track}/metrics.json",
            caption="../report/metrics.rst",
            category="Tracks",
            labels={"track": "{track}", "what": "metrics"},
        ),
    log:
        "<logs>/ensemble/{track}.log",
    benchmark:
        "<benchmarks>/ensemble/{track}.tsv"
    priority: FIRST
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        data=untracked(DATA),
        seed=CONFIG.seed,
        protocol=CONFIG.protocol,
        val=lambda wildcards, input: ["--val", *input.val] if input.val else [],
        fit=lambda wildcards: [
            flag
            for files in out_of_fold(wildcards.track)
            for flag in ("--out-of-fold", *files)
        ],
        duplicates=lambda wildcards, input: (
            ["--duplicates", *input.duplicates] if input.duplicates else []
        ),
        track=lambda wildcards: CONFIG.tracks[wildcards.track].model_dump_json(),
        labels=labels_digest(TABLE, SPLITS),
        signers=signers_digest(TABLE),
    message:
        start_message("{rule} {wildcards.track}; {log}")
    shell:
        "python -P -m slr_pipeline.steps ensemble --data {params.data:q} --track {params.track:q} "
        "--protocol {params.protocol} --seed {params.seed} "
        "{params.val:q} --test {input.test:q} {params.fit:q} "
        "{params.duplicates:q} "
        "--out {output.submission:q} --predictions {output.predictions:q} "
        "--metrics {output.metrics:q} 2> {log:q}"


rule overview:
    """Write one table of the accuracy of all streams and tracks, and one of the classes."""
    input:
        track_files("metrics.json"),
        stream_metrics(),
    output:
        metrics=report(
            "<results>/metrics.csv",
            caption="../report/overview.rst",
            category="Tracks",
            labels={"track": "all", "what": "accuracy"},
        ),
        classes="<results>/classes.csv",
    log:
        "<logs>/overview.log",
    benchmark:
        "<benchmarks>/overview.tsv"
    localrule: True
    conda:
        "../envs/slr.yaml"
    params:
        data=untracked(DATA),
        models=lambda wildcards, input: [
            os.path.relpath(os.path.dirname(path), CONFIG.results) for path in input
        ],
        labels=labels_digest(TABLE, SPLITS),
    message:
        start_message("{rule}; {log}")
    shell:
        "python -P -m slr_pipeline.steps overview --data {params.data:q} --models {params.models:q} "
        "--metrics {input:q} --classes {output.classes:q} --out {output.metrics:q} 2> {log:q}"


rule submission:
    """All files of every track, their tables, and the config that `slr predict` reads."""
    input:
        "<results>/config.yaml",
        track_files(
            "submission.csv", "submission.zip", "predictions.csv", "metrics.json"
        ),
        stream_metrics(),
        "<results>/metrics.csv",
        "<results>/classes.csv",
    localrule: True
    message:
        start_message("{rule}: all files are complete")
