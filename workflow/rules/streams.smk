"""Streams. In: features. Out: streams/{stream}/{phase}/ with model, training log, logits and metrics."""


rule train:
    """Train a stream: on train, val picks the epoch; phase finetune on both; a fold without its signers."""
    input:
        features=lambda wildcards: stream_features(wildcards.stream, "train", "val"),
        quality=expand(f"{RESULTS}/quality/{{split}}.csv", split=("train", "val")),
        init=start_weights,
    output:
        model=f"{RESULTS}/streams/{{stream}}/{{phase}}/model.safetensors",
        sidecar=f"{RESULTS}/streams/{{stream}}/{{phase}}/model.json",
        history=report(
            f"{RESULTS}/streams/{{stream}}/{{phase}}/history.csv",
            caption="../report/history.rst",
            category="Streams",
            labels={"stream": "{stream}", "phase": "{phase}", "what": "epochs"},
        ),
    log:
        f"{RESULTS}/logs/train/{{stream}}/{{phase}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/train/{{stream}}/{{phase}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: lambda wildcards: TRAINING_THREADS * CONFIG.streams[wildcards.stream].gpus
    resources:
        gpu=lambda wildcards: GPUS * processes(wildcards.stream),
        mem_mb=lambda wildcards: 8000 * CONFIG.streams[wildcards.stream].gpus,
        runtime=1440,
        # Of several processes only: as many tasks of one job of a cluster, a GPU for each.
        tasks=lambda wildcards: of_several(wildcards, processes(wildcards.stream)),
        nodes=lambda wildcards: of_several(
            wildcards, CONFIG.streams[wildcards.stream].nodes
        ),
        cpus_per_task=lambda wildcards: of_several(wildcards, TRAINING_THREADS),
        tasks_per_gpu=lambda wildcards: of_several(wildcards, 0),  # it follows from the others
        mpi=lambda wildcards: of_several(wildcards, "srun"),
    params:
        data=untracked(DATA),
        device=untracked(CONFIG.device),
        launch=lambda wildcards, output: launcher(wildcards.stream),
        # What a stopped job left; beside the outputs, which Snakemake deletes.
        state=lambda wildcards, output: f"{os.path.dirname(output.model)}/state",
        init=lambda wildcards, input: ["--init", *input.init] if input.init else [],
        phase=lambda wildcards: phase_flags(wildcards.phase),
        stream=lambda wildcards: stream_settings(wildcards.stream, wildcards.phase),
        heatmaps=lambda wildcards: drawn_heatmaps(wildcards.stream),
        seed=CONFIG.seed,
        labels=labels_digest(TABLE, ("train", "val")),
    message:
        told("{rule} {wildcards.stream}, phase {wildcards.phase}; {log}")
    shell:
        "{params.launch}python -m slr_pipeline.steps.train "
        "--data {params.data:q} --stream {params.stream:q} "
        "{params.phase:q} --seed {params.seed} --device {params.device} "
        "--threads {threads} {params.heatmaps:q} --features {input.features:q} "
        "--quality {input.quality:q} {params.init:q} --state {params.state:q} "
        "--out {output.model:q} --history {output.history:q} 2> {log:q}"


rule predict:
    """Logits of a split from a trained stream."""
    input:
        model=f"{RESULTS}/streams/{{stream}}/{{phase}}/model.safetensors",
        sidecar=f"{RESULTS}/streams/{{stream}}/{{phase}}/model.json",
        features=lambda wildcards: stream_features(wildcards.stream, wildcards.split),
        quality=f"{RESULTS}/quality/{{split}}.csv",
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
    message:
        told(
            "{rule} {wildcards.stream}, phase {wildcards.phase}, split {wildcards.split}; {log}"
        )
    shell:
        "python -m slr_pipeline.steps.predict --model {input.model:q} --device {params.device} "
        "--threads {threads} --features {input.features:q} --quality {input.quality:q} "
        "--out {output:q} 2> {log:q}"


rule evaluate:
    """Accuracy of one stream on the splits it was not trained on, with intervals."""
    input:
        lambda wildcards: [
            logits_file(wildcards.stream, wildcards.phase, split)
            for split in unseen_splits(wildcards.stream, wildcards.phase)
        ],
    output:
        report(
            f"{RESULTS}/streams/{{stream}}/{{phase}}/metrics.json",
            caption="../report/stream.rst",
            category="Streams",
            labels={"stream": "{stream}", "phase": "{phase}", "what": "metrics"},
        ),
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
        splits=lambda wildcards: unseen_splits(wildcards.stream, wildcards.phase),
    message:
        told("{rule} {wildcards.stream}, phase {wildcards.phase}; {log}")
    shell:
        "python -m slr_pipeline.steps.evaluate --data {params.data:q} --seed {params.seed} "
        "--splits {params.splits:q} --logits {input:q} --out {output:q} 2> {log:q}"
