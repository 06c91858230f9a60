#!/usr/bin/env bash
# Snakemake runs this from the project's folder, inside the new conda environment.
# --no-deps: the estimators would install a second OpenCV and an older numpy.
set -euo pipefail
pip install --no-deps -r requirements/pose.txt
pip install --no-deps -r requirements/mmpose.txt
pip install --no-deps -e .
