#!/usr/bin/env bash
# Snakemake runs this inside the conda environment it has just made, from the project's folder.
# --no-deps: the estimators' own requirements name a second OpenCV and an older numpy.
set -euo pipefail
pip install --no-deps -r requirements-pose.txt
pip install --no-deps -r requirements-mmpose.txt
pip install --no-deps -e .
