#!/bin/sh
# Generates the Python stubs and their types from the protos into the folder named.
#
# The generator is pinned to the oldest supported release: its stubs run on that one and on every newer one.
set -eu
cd "$(dirname "$0")/.."
target=${1:?usage: generate.sh FOLDER}
venv=.venv-proto
if [ ! -x $venv/bin/protoc-gen-mypy ]; then
  "${PYTHON:-python3}" -m venv $venv
  $venv/bin/python -m pip install --quiet grpcio-tools==1.76.0 mypy-protobuf==3.7.0 'setuptools<81'
fi
mkdir -p "$target"
PATH="$PWD/$venv/bin:$PATH" $venv/bin/python -m grpc_tools.protoc --proto_path=proto \
  --python_out="$target" --grpc_python_out="$target" --mypy_out="$target" --mypy_grpc_out="$target" \
  proto/nearhash/v1/*.proto
for package in nearhash nearhash/v1; do
  [ -f "$target/$package/__init__.py" ] || : >"$target/$package/__init__.py"
done
: >"$target/nearhash/py.typed"
