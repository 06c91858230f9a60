#!/usr/bin/env bash
# Snakemake runs this inside the new conda environment, from its working folder: that must be a checkout.
# --no-deps: the estimators would install a second OpenCV and an older numpy.
set -euo pipefail
if [ ! -f requirements/pose.txt ]; then
  echo "error: no requirements/pose.txt in $PWD; make the environment in a checkout of slr_pipeline:" \
    "snakemake --sdm conda --conda-create-envs-only --conda-prefix FOLDER" >&2
  exit 1
fi
pip install --no-deps -c requirements/constraints.txt lightning-fabric mediapipe
pip install --no-deps -r requirements/mmpose.txt
pip install --no-deps -e .
