"""Report page. In: tables, metrics and models of the run. Out: report/index.html."""


rule report:
    """Write one self-contained HTML page on data, features, training and results."""
    input:
        config="<results>/config.yaml",
        tracks=track_files("submission.csv", "predictions.csv", "metrics.json"),
        streams=stream_metrics(),
        models=trained_models(),
        samples=sample_checks(),
        duplicates=ancient(DUPLICATES) if CONFIG.read_splits() else [],
        # The page shows one sample: it needs the features of one shard.
        shown=shown_files(),
    output:
        report(
            "<results>/report/index.html",
            caption="../report/page.rst",
            category="Page of the run",
        ),
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.tsv"
    priority: FIRST
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        labels=labels_digest(TABLE, SPLITS),
        signers=signers_digest(TABLE),
        shown=lambda wildcards, input: ["--shown", *input.shown] if input.shown else [],
    message:
        start_message("{rule}; {log}")
    shell:
        "python -P -m slr_pipeline.steps report --config {input.config:q} {params.shown:q} "
        "--out {output:q} 2> {log:q}"
