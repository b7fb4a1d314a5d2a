#!/bin/sh
# Tests attnzoo on nnU-Net's networks in an environment of their own: dynamic-network-architectures wants timm below
# 1.0.23, and attnzoo a newer one, so pip can only be asked for one of them with all that it wants.
#
#     sh tests/environments/nnunet.sh [FOLDER [PYTEST OPTION ...]]
#
# FOLDER keeps the environment (about 6 GB with torch for CUDA) for the next time; without one it is made and thrown away.
set -eu
repository=$(cd "$(dirname "$0")/../.." && pwd)
if [ $# -gt 0 ]; then
    mkdir -p "$1"
    folder=$(cd "$1" && pwd)
    shift
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi
python=$folder/bin/python
[ -x "$python" ] || python3 -m venv "$folder"
"$python" -m pip install --quiet dynamic-network-architectures pytest pytest-xdist hypothesis onnx onnxruntime onnxscript
"$python" -m pip install --quiet --no-deps --editable "$repository"
cd "$repository"
"$python" -m pytest tests/hosts/test_nnunet.py -m "slow or not slow" "$@"
