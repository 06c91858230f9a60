"""Features. In: verify/{split}/{shard}.csv and the videos it names. Out: features/{feature}/{split}/{shard}.h5, quality/{split}.csv."""


rule keypoints:
    """133 whole-body keypoints of every frame of a shard."""
    input:
        verified=f"{RESULTS}/verify/{{split}}/{{shard}}.csv",
        # Only opens the gate: a sample added elsewhere must not remake this shard.
        quarantine=ancient(f"{RESULTS}/quarantine.csv"),
        weights=pose_files(),
    output:
        [
            f"{RESULTS}/features/{feature}/{{split}}/{{shard}}.h5"
            for feature in POSE_FEATURES
        ],
    log:
        f"{RESULTS}/logs/keypoints/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/keypoints/{{split}}/{{shard}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        gpu=POSE_GPUS,
        mem_mb=3000,
        runtime=keypoints_minutes(CONFIG.features.keypoints),
    params:
        device=untracked(CONFIG.device),
        # A function: {sample} in a path of imported files is no wildcard.
        settings=lambda wildcards: CONFIG.features.keypoints.model_dump_json(),
        heatmaps=network_heatmaps(),
        version=[FEATURES[feature].version for feature in POSE_FEATURES],
    message:
        told("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -m slr_pipeline.steps.keypoints --settings {params.settings:q} "
        "{params.heatmaps:q} --device {params.device} --verified {input.verified:q} "
        "--out {output:q} 2> {log:q}"


rule quality:
    """How well the keypoints of a split were found; stop the run when too many clips fail."""
    input:
        lambda wildcards: shard_files(
            f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5", wildcards.split
        ),
    output:
        f"{RESULTS}/quality/{{split}}.csv",
    log:
        f"{RESULTS}/logs/quality/{{split}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/quality/{{split}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=CONFIG.quality.model_dump_json(),
    message:
        told("{rule} {wildcards.split}; {log}")
    shell:
        "python -m slr_pipeline.steps.quality --settings {params.settings:q} "
        "--keypoints {input:q} --out {output:q} 2> {log:q}"


rule frames:
    """Signer crops of the colour videos of a shard."""
    input:
        verified=f"{RESULTS}/verify/{{split}}/{{shard}}.csv",
        quarantine=ancient(f"{RESULTS}/quarantine.csv"),
        keypoints=f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5",
    output:
        kept(f"{RESULTS}/features/frames/{{split}}/{{shard}}.h5"),
    log:
        f"{RESULTS}/logs/frames/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/frames/{{split}}/{{shard}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        settings=CONFIG.features.frames.model_dump_json(),
        version=FEATURES["frames"].version,
    message:
        told("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -m slr_pipeline.steps.frames --settings {params.settings:q} "
        "--verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


rule hand_crops:
    """Crops of both hands from the colour videos of a shard."""
    input:
        verified=f"{RESULTS}/verify/{{split}}/{{shard}}.csv",
        quarantine=ancient(f"{RESULTS}/quarantine.csv"),
        keypoints=f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5",
    output:
        kept(f"{RESULTS}/features/hand_crops/{{split}}/{{shard}}.h5"),
    log:
        f"{RESULTS}/logs/hand_crops/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/hand_crops/{{split}}/{{shard}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        settings=CONFIG.features.hand_crops.model_dump_json(),
        version=FEATURES["hand_crops"].version,
        feature="hand_crops",
    message:
        told("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -m slr_pipeline.steps.hand_crops --settings {params.settings:q} "
        "--feature {params.feature} --verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


use rule hand_crops as depth_hand_crops with:
    output:
        kept(f"{RESULTS}/features/depth_hand_crops/{{split}}/{{shard}}.h5"),
    log:
        f"{RESULTS}/logs/depth_hand_crops/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/depth_hand_crops/{{split}}/{{shard}}.tsv"
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        settings=CONFIG.features.depth_hand_crops.model_dump_json(),
        version=FEATURES["depth_hand_crops"].version,
        feature="depth_hand_crops",


rule pose_flow:
    """Movement of 53 keypoints of a shard."""
    input:
        verified=f"{RESULTS}/verify/{{split}}/{{shard}}.csv",
        quarantine=ancient(f"{RESULTS}/quarantine.csv"),
        keypoints=f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5",
    output:
        f"{RESULTS}/features/pose_flow/{{split}}/{{shard}}.h5",
    log:
        f"{RESULTS}/logs/pose_flow/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/pose_flow/{{split}}/{{shard}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=CONFIG.features.pose_flow.model_dump_json(),
        version=FEATURES["pose_flow"].version,
    message:
        told("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -m slr_pipeline.steps.pose_flow --settings {params.settings:q} "
        "--verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


rule flow:
    """Optical flow of the colour videos of a shard."""
    input:
        verified=f"{RESULTS}/verify/{{split}}/{{shard}}.csv",
        quarantine=ancient(f"{RESULTS}/quarantine.csv"),
        keypoints=f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5",
    output:
        kept(f"{RESULTS}/features/flow/{{split}}/{{shard}}.h5"),
    log:
        f"{RESULTS}/logs/flow/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/flow/{{split}}/{{shard}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=flow_minutes(CONFIG.features.flow),
    params:
        settings=CONFIG.features.flow.model_dump_json(),
        version=FEATURES["flow"].version,
        feature="flow",
    message:
        told("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -m slr_pipeline.steps.flow --settings {params.settings:q} "
        "--feature {params.feature} --verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


use rule flow as depth_flow with:
    output:
        kept(f"{RESULTS}/features/depth_flow/{{split}}/{{shard}}.h5"),
    log:
        f"{RESULTS}/logs/depth_flow/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/depth_flow/{{split}}/{{shard}}.tsv"
    resources:
        mem_mb=1000,
        runtime=flow_minutes(CONFIG.features.depth_flow),
    params:
        settings=CONFIG.features.depth_flow.model_dump_json(),
        version=FEATURES["depth_flow"].version,
        feature="depth_flow",


rule hha:
    """Disparity, height and angle with gravity from the depth videos of a shard."""
    input:
        verified=f"{RESULTS}/verify/{{split}}/{{shard}}.csv",
        quarantine=ancient(f"{RESULTS}/quarantine.csv"),
        keypoints=f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5",
    output:
        kept(f"{RESULTS}/features/hha/{{split}}/{{shard}}.h5"),
    log:
        f"{RESULTS}/logs/hha/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/hha/{{split}}/{{shard}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        settings=CONFIG.features.hha.model_dump_json(),
        version=FEATURES["hha"].version,
    message:
        told("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -m slr_pipeline.steps.hha --settings {params.settings:q} "
        "--verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


# With the network's own heat-maps both rules have an output of that name.
ruleorder: keypoints > heatmaps


rule heatmaps:
    """Heat-maps of 33 keypoints in 60 frames of each clip of a shard."""
    input:
        verified=f"{RESULTS}/verify/{{split}}/{{shard}}.csv",
        quarantine=ancient(f"{RESULTS}/quarantine.csv"),
        keypoints=f"{RESULTS}/features/keypoints/{{split}}/{{shard}}.h5",
    output:
        f"{RESULTS}/features/heatmaps/{{split}}/{{shard}}.h5",
    log:
        f"{RESULTS}/logs/heatmaps/{{split}}/{{shard}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/heatmaps/{{split}}/{{shard}}.tsv"
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        settings=CONFIG.features.heatmaps.model_dump_json(),
        version=FEATURES["heatmaps"].version,
    message:
        told("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -m slr_pipeline.steps.heatmaps --settings {params.settings:q} "
        "--verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


rule features:
    """Every feature that the data and the config allow, whether a stream reads it or not."""
    input:
        [
            shard_files(
                f"{RESULTS}/features/{feature}/{{split}}/{{shard}}.h5", *SPLITS
            )
            for feature in stored_features()
        ],
    localrule: True
    message:
        told("{rule}: everything is there")
