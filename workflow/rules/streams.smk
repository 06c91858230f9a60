"""Streams. In: features. Out: streams/{stream}/{phase}/ with model, training log, logits and metrics."""


rule train:
    """Train a stream on train; val picks the epoch."""
    input:
        train=shard_files(
            f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5", "train"
        ),
        val=shard_files(f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5", "val"),
    output:
        model=f"{RESULTS}/streams/{{stream}}/train/model.safetensors",
        sidecar=f"{RESULTS}/streams/{{stream}}/train/model.json",
        history=f"{RESULTS}/streams/{{stream}}/train/history.csv",
    log:
        f"{RESULTS}/logs/train/{{stream}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{stream}}.tsv"
    conda:
        "../envs/slr.yaml"
    # One: torch's threads wait busily for each other, and then two on shared cores are slower.
    # The bits of the result depend on the number. Else: --set-threads train=8.
    threads: 1
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=1440,
    params:
        data=untracked(DATA),
        device=untracked(CONFIG.device),
        protocol=CONFIG.protocol,
        stream=lambda wildcards: CONFIG.streams[wildcards.stream].model_dump_json(),
        seed=CONFIG.seed,
        labels=labels_digest(TABLE, ("train", "val")),
    shell:
        "python -m slr_pipeline.steps.train --data {params.data:q} --stream {params.stream:q} "
        "--protocol {params.protocol} --seed {params.seed} --device {params.device} "
        "--keypoints {input.train:q} {input.val:q} "
        "--out {output.model:q} --history {output.history:q} 2> {log:q}"


rule predict:
    """Logits of a split from a trained stream."""
    input:
        model=f"{RESULTS}/streams/{{stream}}/train/model.safetensors",
        sidecar=f"{RESULTS}/streams/{{stream}}/train/model.json",
        features=lambda wildcards: shard_files(
            f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5", wildcards.split
        ),
    output:
        f"{RESULTS}/streams/{{stream}}/train/logits/{{split}}.h5",
    log:
        f"{RESULTS}/logs/predict/{{stream}}/{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict/{{stream}}/{{split}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        gpu=1,
        mem_mb=4000,
        runtime=120,
    params:
        device=untracked(CONFIG.device),
    shell:
        "python -m slr_pipeline.steps.predict --model {input.model:q} --device {params.device} "
        "--keypoints {input.features:q} --out {output:q} 2> {log:q}"


rule evaluate:
    """Accuracy of one stream on val and test, with intervals."""
    input:
        val=f"{RESULTS}/streams/{{stream}}/train/logits/val.h5",
        test=f"{RESULTS}/streams/{{stream}}/train/logits/test.h5",
    output:
        f"{RESULTS}/streams/{{stream}}/train/metrics.json",
    log:
        f"{RESULTS}/logs/evaluate/{{stream}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{stream}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        data=untracked(DATA),
        labels=labels_digest(TABLE, ("val", "test")),
    shell:
        "python -m slr_pipeline.steps.evaluate --data {params.data:q} --val {input.val:q} "
        "--test {input.test:q} --out {output:q} 2> {log:q}"
