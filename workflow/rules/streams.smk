"""Streams. In: features. Out: streams/{stream}/{phase}/ with model, training log, logits and metrics."""


rule train:
    """Train a stream: phase train selects the epoch on val; finetune adds val; a fold omits its signers; a job per seed."""
    input:
        features=lambda wildcards: (
            stream_features(wildcards.stream, "train", "val")
            if has_epochs(wildcards)
            else []
        ),
        quality=lambda wildcards: (
            expand("<results>/quality/{split}.csv", split=("train", "val"))
            if has_epochs(wildcards)
            else []
        ),
        init=start_weights,
        duplicates=excluded,
    output:
        model="<results>/streams/{stream}/{training}/model.safetensors",
        sidecar="<results>/streams/{stream}/{training}/model.json",
        history=report(
            "<results>/streams/{stream}/{training}/history.csv",
            caption="../report/history.rst",
            category="Streams",
            labels={"stream": "{stream}", "phase": "{training}", "what": "epochs"},
        ),
    log:
        "<logs>/train/{stream}/{training}.log",
    benchmark:
        "<benchmarks>/train/{stream}/{training}.tsv"
    priority: lambda wildcards: urgency(wildcards.stream)
    conda:
        "../envs/slr.yaml"
    threads: lambda wildcards: TRAINING_THREADS * CONFIG.streams[wildcards.stream].gpus
    resources:
        gpu=lambda wildcards: GPUS * processes(wildcards.stream),
        mem_mb=lambda wildcards: training_memory(wildcards.stream, wildcards.training),
        runtime=1440,
        # Only for several processes: tasks of one cluster job with a GPU each.
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
        # State of an interrupted job; outside the outputs, which Snakemake deletes.
        state=lambda wildcards, output: f"{os.path.dirname(output.model)}/state",
        init=lambda wildcards, input: ["--init", *input.init] if input.init else [],
        duplicates=lambda wildcards, input: (
            ["--duplicates", *input.duplicates] if input.duplicates else []
        ),
        training=lambda wildcards: training_flags(wildcards.stream, wildcards.training),
        # The command gets all settings; only those that change the weights rerun it.
        stream=lambda wildcards, output: stream_settings(
            wildcards.stream, wildcards.training
        ),
        retrained_by=lambda wildcards: retraining_settings(
            wildcards.stream, wildcards.training
        ),
        heatmaps=lambda wildcards: drawn_heatmaps(wildcards.stream),
        seed=CONFIG.seed,
        labels=labels_digest(TABLE, ("train", "val")),
    message:
        start_message("{rule} {wildcards.stream}, phase {wildcards.training}; {log}")
    shell:
        "{params.launch}python -P -m slr_pipeline.steps train "
        "--data {params.data:q} --stream {params.stream:q} "
        "{params.training:q} --seed {params.seed} --device {params.device} "
        "--threads {threads} {params.heatmaps:q} --features {input.features:q} "
        "--quality {input.quality:q} {params.duplicates:q} {params.init:q} --state {params.state:q} "
        "--out {output.model:q} --history {output.history:q} 2> {log:q}"


rule predict:
    """Compute the logits of a trained stream for all splits that it has not seen; the mean over its seeds."""
    input:
        models=models("safetensors"),
        sidecars=models("json"),
        features=lambda wildcards: stream_features(
            wildcards.stream, *predicted_splits(wildcards)
        ),
        quality=lambda wildcards: expand(
            "<results>/quality/{split}.csv", split=predicted_splits(wildcards)
        ),
    output:
        expand(
            "<results>/streams/{{stream}}/{{phase}}/logits/{split}.h5",
            split=("val", "test"),
        ),
    log:
        "<logs>/predict/{stream}/{phase}.log",
    benchmark:
        "<benchmarks>/predict/{stream}/{phase}.tsv"
    wildcard_constraints:
        # (?!) matches nothing; an empty pattern would match every stream.
        stream="|".join(
            name for name in TRAINED if "val" in CONFIG.unseen_splits(name, "train")
        )
        or "(?!)",
        phase="train",
    priority: lambda wildcards: urgency(wildcards.stream)
    conda:
        "../envs/slr.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=GPUS,
        mem_mb=lambda wildcards: prediction_mb(
            CONFIG.streams[wildcards.stream], DEVICE, TRAINING_THREADS
        ),
        runtime=240,
    params:
        device=untracked(CONFIG.device),
        features=lambda wildcards, input: by_split(
            input.features, predicted_splits(wildcards)
        ),
        # These do not retrain a stream.
        evaluation=lambda wildcards: json.dumps(
            evaluation_settings(CONFIG.streams[wildcards.stream])
        ),
    message:
        start_message("predict {wildcards.stream}, phase {wildcards.phase}; {log}")
    shell:
        "python -P -m slr_pipeline.steps predict --model {input.models:q} --device {params.device} "
        "--threads {threads} {params.features:q} --quality {input.quality:q} "
        "--evaluation {params.evaluation:q} --out {output:q} 2> {log:q}"


# The output of a rule is fixed: a model that has seen val answers test alone.
ruleorder: predict > predict_test


use rule predict as predict_test with:
    output:
        "<results>/streams/{stream}/{phase}/logits/test.h5",
    wildcard_constraints:
        stream="|".join(TRAINED),
        phase="train|finetune",


# A model of a fold answers the samples of train whose signers it has not seen.
use rule predict as predict_fold with:
    output:
        "<results>/streams/{stream}/{phase}/logits/train.h5",
    wildcard_constraints:
        phase="fold[0-9]+",


rule evaluate:
    """Score one stream on the splits that it did not train on, with confidence intervals."""
    input:
        lambda wildcards: [
            logits_file(wildcards.stream, wildcards.phase, split)
            for split in CONFIG.unseen_splits(wildcards.stream, wildcards.phase)
        ],
    output:
        report(
            "<results>/streams/{stream}/{phase}/metrics.json",
            caption="../report/stream.rst",
            category="Streams",
            labels={"stream": "{stream}", "phase": "{phase}", "what": "metrics"},
        ),
    log:
        "<logs>/evaluate/{stream}/{phase}.log",
    benchmark:
        "<benchmarks>/evaluate/{stream}/{phase}.tsv"
    priority: FIRST
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
        signers=signers_digest(TABLE),
        splits=lambda wildcards: list(
            CONFIG.unseen_splits(wildcards.stream, wildcards.phase)
        ),
    message:
        start_message("{rule} {wildcards.stream}, phase {wildcards.phase}; {log}")
    shell:
        "python -P -m slr_pipeline.steps evaluate --data {params.data:q} --seed {params.seed} "
        "--splits {params.splits:q} --logits {input:q} --out {output:q} 2> {log:q}"
