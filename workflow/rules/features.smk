"""Features. In: verify/{split}/{shard}.csv and the videos it names. Out: features/{feature}/{split}/{shard}.h5."""


rule keypoints:
    """133 whole-body keypoints of every frame of a shard."""
    input:
        verified=f"{RESULTS}/verify/{{split}}/{{shard}}.csv",
        # Only opens the gate: a sample added elsewhere must not remake this shard.
        quarantine=ancient(f"{RESULTS}/quarantine.csv"),
    output:
        f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5",
    log:
        f"{RESULTS}/logs/keypoints/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/keypoints/{{split}}/{{shard}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=240,
    params:
        settings=CONFIG.features.keypoints.model_dump_json(),
        version=FEATURES["keypoints"].version,
    shell:
        "python -m slr_pipeline.steps.keypoints --settings {params.settings:q} "
        "--verified {input.verified:q} --out {output:q} 2> {log:q}"
