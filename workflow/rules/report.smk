"""The page of a run. In: what the run says of itself. Out: report/index.html."""


rule report:
    """One page on data, features, training and results: a file that needs no network."""
    input:
        config=f"{RESULTS}/config.yaml",
        tracks=expand(
            f"{RESULTS}/tracks/{{track}}/{{file}}",
            track=CONFIG.tracks,
            file=("submission.csv", "metrics.json"),
        ),
        streams=stream_metrics(),
        models=expand(
            f"{RESULTS}/streams/{{stream}}/{{phase}}/{{file}}",
            stream=TRAINED,
            phase=PHASES,
            file=("history.csv", "model.safetensors"),
        ),
        samples=sample_checks(),
        # One sample is shown: the features of other shards are not opened.
        shown=shown_files(),
    output:
        report(
            f"{RESULTS}/report/index.html",
            caption="../report/page.rst",
            category="Page of the run",
        ),
    log:
        f"{RESULTS}/logs/report.log",
    benchmark:
        f"{RESULTS}/benchmarks/report.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        labels=labels_digest(TABLE, SPLITS),
        shown=lambda wildcards, input: ["--shown", *input.shown] if input.shown else [],
    message:
        told("{rule}; {log}")
    shell:
        "python -m slr_pipeline.steps.report --config {input.config:q} {params.shown:q} "
        "--out {output:q} 2> {log:q}"
