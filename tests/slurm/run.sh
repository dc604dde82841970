#!/usr/bin/env bash
# Tests on a real SLURM of one node, which this script starts on this machine and stops again:
#   tests/slurm/run.sh [options of pytest]
# Needs root, and (Debian) slurm-wlm slurm-wlm-basic-plugins slurm-client munge; $COSMOINFER_SHARED, by default ../shared,
# holds slurm/slurm_up.sh and slurm/slurm_down.sh. About ten minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."
shared=$(realpath "${COSMOINFER_SHARED:-../shared}")/slurm
folder=$(mktemp -d)
unset OMP_NUM_THREADS  # by which nproc counts cores
trap 'bash "$shared/slurm_down.sh" "$folder"; rm -rf "$folder"' EXIT
bash "$shared/slurm_up.sh" "$folder"
SLURM_CONF=$folder/slurm.conf COSMOINFER_SLURM=1 python -m pytest -n0 tests/slurm "$@"
