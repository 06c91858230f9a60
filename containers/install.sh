#!/usr/bin/env bash
# Installs the pipeline into a Debian or Ubuntu system, as root, from the checkout in which this file is.
# Dockerfile and slr.def run it. Argument: an extra package index, for example PyTorch's index of CPU wheels.
set -euo pipefail
cd "$(dirname "$0")/.."
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  ca-certificates fontconfig fonts-noto-cjk fonts-noto-core libegl1 libgl1 make python3 python3-venv
rm -rf /var/lib/apt/lists/*
if [ -n "${1:-}" ]; then export PIP_EXTRA_INDEX_URL=$1; fi
export PIP_NO_CACHE_DIR=1
make install
