"""Streams. In: features. Out: streams/{stream}/{phase}/ with model, training log, logits and metrics."""


rule train:
    """Train a stream: phase train on train, val picks the epoch; phase finetune on both."""
    input:
        features=lambda wildcards: stream_features(wildcards.stream, "train", "val"),
        init=start_weights,
    output:
        model=f"{RESULTS}/streams/{{stream}}/{{phase}}/model.safetensors",
        sidecar=f"{RESULTS}/streams/{{stream}}/{{phase}}/model.json",
        history=f"{RESULTS}/streams/{{stream}}/{{phase}}/history.csv",
    log:
        f"{RESULTS}/logs/train/{{stream}}/{{phase}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{stream}}/{{phase}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=GPUS,
        mem_mb=8000,
        runtime=1440,
    params:
        data=untracked(DATA),
        device=untracked(CONFIG.device),
        # What a stopped job left; beside the outputs, which Snakemake deletes.
        state=lambda wildcards, output: f"{os.path.dirname(output.model)}/state",
        init=lambda wildcards, input: ["--init", *input.init] if input.init else [],
        stream=lambda wildcards: stream_settings(wildcards.stream, wildcards.phase),
        heatmaps=lambda wildcards: drawn_heatmaps(wildcards.stream),
        seed=CONFIG.seed,
        labels=labels_digest(TABLE, ("train", "val")),
    shell:
        "python -m slr_pipeline.steps.train --data {params.data:q} --stream {params.stream:q} "
        "--phase {wildcards.phase} --seed {params.seed} --device {params.device} "
        "--threads {threads} {params.heatmaps:q} --features {input.features:q} "
        "{params.init:q} --state {params.state:q} "
        "--out {output.model:q} --history {output.history:q} 2> {log:q}"


rule predict:
    """Logits of a split from a trained stream."""
    input:
        model=f"{RESULTS}/streams/{{stream}}/{{phase}}/model.safetensors",
        sidecar=f"{RESULTS}/streams/{{stream}}/{{phase}}/model.json",
        features=lambda wildcards: stream_features(wildcards.stream, wildcards.split),
    output:
        f"{RESULTS}/streams/{{stream}}/{{phase}}/logits/{{split}}.h5",
    log:
        f"{RESULTS}/logs/predict/{{stream}}/{{phase}}/{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/predict/{{stream}}/{{phase}}/{{split}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=GPUS,
        mem_mb=4000,
        runtime=120,
    params:
        device=untracked(CONFIG.device),
    shell:
        "python -m slr_pipeline.steps.predict --model {input.model:q} --device {params.device} "
        "--threads {threads} --features {input.features:q} --out {output:q} 2> {log:q}"


rule evaluate:
    """Accuracy of one stream on the splits it was not trained on, with intervals."""
    input:
        lambda wildcards: [
            logits_file(wildcards.stream, wildcards.phase, split)
            for split in UNSEEN[wildcards.phase]
        ],
    output:
        f"{RESULTS}/streams/{{stream}}/{{phase}}/metrics.json",
    log:
        f"{RESULTS}/logs/evaluate/{{stream}}/{{phase}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/evaluate/{{stream}}/{{phase}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        data=untracked(DATA),
        seed=CONFIG.seed,
        labels=labels_digest(TABLE, ("val", "test")),
        splits=lambda wildcards: UNSEEN[wildcards.phase],
    shell:
        "python -m slr_pipeline.steps.evaluate --data {params.data:q} --seed {params.seed} "
        "--splits {params.splits:q} --logits {input:q} --out {output:q} 2> {log:q}"
