"""Features. In: verify/{split}/{shard}.csv and its videos. Out: features/{feature}/{split}/{shard}.h5, quality/{split}.csv.

The files are `update`: a step takes over the clips of the earlier file that have not changed.
"""


rule keypoints:
    """Estimate 133 whole-body keypoints in every frame of a shard."""
    input:
        verified=ancient("<results>/verify/{split}/{shard}.csv"),
        # `ancient` waits only: the digest of the videos says whether this shard must be made again.
        quarantine=ancient("<results>/quarantine.csv"),
        weights=pose_files(),
    output:
        update(
            expand(
                "<results>/features/{feature}/{split}/{shard}.h5",
                feature=POSE_FEATURES,
                allow_missing=True,
            )
        ),
    log:
        "<logs>/keypoints/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/keypoints/{split}/{shard}.tsv"
    priority: FIRST
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        gpu=POSE_GPUS,
        mem_mb=3000,
        runtime=keypoints_minutes(CONFIG.features.keypoints),
    params:
        device=untracked(CONFIG.device),
        settings=as_json(CONFIG.features.keypoints),
        heatmaps=lambda wildcards: network_heatmaps(),
        version=[FEATURES[feature].version for feature in POSE_FEATURES],
        videos=content_digest,
    message:
        start_message("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -P -m slr_pipeline.steps keypoints --settings {params.settings:q} "
        "{params.heatmaps:q} --device {params.device} --verified {input.verified:q} "
        "--out {output:q} 2> {log:q}"


rule quality:
    """Rate the keypoints of each clip of a split; stop the run if too many clips fail."""
    input:
        lambda wildcards: shard_files(
            "<results>/features/keypoints/{split}/{shard}.h5", wildcards.split
        ),
    output:
        "<results>/quality/{split}.csv",
    log:
        "<logs>/quality/{split}.log",
    benchmark:
        "<benchmarks>/quality/{split}.tsv"
    priority: FIRST
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=as_json(CONFIG.quality),
    message:
        start_message("{rule} {wildcards.split}; {log}")
    shell:
        "python -P -m slr_pipeline.steps quality --settings {params.settings:q} "
        "--keypoints {input:q} --out {output:q} 2> {log:q}"


rule frames:
    """Crop the signer from the colour videos of a shard."""
    input:
        verified=ancient("<results>/verify/{split}/{shard}.csv"),
        quarantine=ancient("<results>/quarantine.csv"),
        keypoints="<results>/features/keypoints/{split}/{shard}.h5",
    output:
        kept("<results>/features/frames/{split}/{shard}.h5"),
    log:
        "<logs>/frames/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/frames/{split}/{shard}.tsv"
    priority: feature_urgency("frames")
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        settings=as_json(CONFIG.features.frames),
        version=FEATURES["frames"].version,
    message:
        start_message("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -P -m slr_pipeline.steps frames --settings {params.settings:q} "
        "--verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


rule hand_crops:
    """Crop both hands from the colour videos of a shard."""
    input:
        verified=ancient("<results>/verify/{split}/{shard}.csv"),
        quarantine=ancient("<results>/quarantine.csv"),
        keypoints="<results>/features/keypoints/{split}/{shard}.h5",
    output:
        kept("<results>/features/hand_crops/{split}/{shard}.h5"),
    log:
        "<logs>/hand_crops/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/hand_crops/{split}/{shard}.tsv"
    priority: feature_urgency("hand_crops")
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        settings=as_json(CONFIG.features.hand_crops),
        version=FEATURES["hand_crops"].version,
        feature="hand_crops",
    message:
        start_message("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -P -m slr_pipeline.steps hand_crops --settings {params.settings:q} "
        "--feature {params.feature} --verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


use rule hand_crops as depth_hand_crops with:
    output:
        kept("<results>/features/depth_hand_crops/{split}/{shard}.h5"),
    log:
        "<logs>/depth_hand_crops/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/depth_hand_crops/{split}/{shard}.tsv"
    priority: feature_urgency("depth_hand_crops")
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        settings=as_json(CONFIG.features.depth_hand_crops),
        version=FEATURES["depth_hand_crops"].version,
        feature="depth_hand_crops",


rule pose_flow:
    """Compute the motion of 53 keypoints for a shard."""
    input:
        verified=ancient("<results>/verify/{split}/{shard}.csv"),
        quarantine=ancient("<results>/quarantine.csv"),
        keypoints="<results>/features/keypoints/{split}/{shard}.h5",
    output:
        update("<results>/features/pose_flow/{split}/{shard}.h5"),
    log:
        "<logs>/pose_flow/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/pose_flow/{split}/{shard}.tsv"
    priority: feature_urgency("pose_flow")
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        settings=as_json(CONFIG.features.pose_flow),
        version=FEATURES["pose_flow"].version,
    message:
        start_message("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -P -m slr_pipeline.steps pose_flow --settings {params.settings:q} "
        "--verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


rule flow:
    """Compute optical flow of the colour videos of a shard."""
    input:
        verified=ancient("<results>/verify/{split}/{shard}.csv"),
        quarantine=ancient("<results>/quarantine.csv"),
        keypoints="<results>/features/keypoints/{split}/{shard}.h5",
    output:
        kept("<results>/features/flow/{split}/{shard}.h5"),
    log:
        "<logs>/flow/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/flow/{split}/{shard}.tsv"
    priority: feature_urgency("flow")
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=flow_minutes(CONFIG.features.flow),
    params:
        settings=as_json(CONFIG.features.flow),
        version=FEATURES["flow"].version,
        feature="flow",
    message:
        start_message("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -P -m slr_pipeline.steps flow --settings {params.settings:q} "
        "--feature {params.feature} --verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


use rule flow as depth_flow with:
    output:
        kept("<results>/features/depth_flow/{split}/{shard}.h5"),
    log:
        "<logs>/depth_flow/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/depth_flow/{split}/{shard}.tsv"
    priority: feature_urgency("depth_flow")
    resources:
        mem_mb=1000,
        runtime=flow_minutes(CONFIG.features.depth_flow),
    params:
        settings=as_json(CONFIG.features.depth_flow),
        version=FEATURES["depth_flow"].version,
        feature="depth_flow",


rule hha:
    """Compute disparity, height and angle with gravity from the depth videos of a shard."""
    input:
        verified=ancient("<results>/verify/{split}/{shard}.csv"),
        quarantine=ancient("<results>/quarantine.csv"),
        keypoints="<results>/features/keypoints/{split}/{shard}.h5",
    output:
        kept("<results>/features/hha/{split}/{shard}.h5"),
    log:
        "<logs>/hha/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/hha/{split}/{shard}.tsv"
    priority: feature_urgency("hha")
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        settings=as_json(CONFIG.features.hha),
        version=FEATURES["hha"].version,
    message:
        start_message("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -P -m slr_pipeline.steps hha --settings {params.settings:q} "
        "--verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


# Both rules can write heatmaps: keypoints does so if the pose network's heat-maps are stored.
ruleorder: keypoints > heatmaps


rule heatmaps:
    """Draw heat-maps of 33 keypoints in 60 frames of each clip of a shard."""
    input:
        verified=ancient("<results>/verify/{split}/{shard}.csv"),
        quarantine=ancient("<results>/quarantine.csv"),
        keypoints="<results>/features/keypoints/{split}/{shard}.h5",
    output:
        update("<results>/features/heatmaps/{split}/{shard}.h5"),
    log:
        "<logs>/heatmaps/{split}/{shard}.log",
    benchmark:
        "<benchmarks>/heatmaps/{split}/{shard}.tsv"
    priority: feature_urgency("heatmaps")
    conda:
        "../envs/slr.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        settings=as_json(CONFIG.features.heatmaps),
        version=FEATURES["heatmaps"].version,
    message:
        start_message("{rule} {wildcards.split} {wildcards.shard}; {log}")
    shell:
        "python -P -m slr_pipeline.steps heatmaps --settings {params.settings:q} "
        "--verified {input.verified:q} --keypoints {input.keypoints:q} "
        "--out {output:q} 2> {log:q}"


rule features:
    """All features that the data and the config allow, even if no stream reads them."""
    input:
        feature_files(stored_features(), *SPLITS),
    localrule: True
    message:
        start_message("{rule}: all files are complete")
