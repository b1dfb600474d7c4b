#!/bin/sh
# Fails when the checked-in stubs differ from what the protos generate.
set -eu
cd "$(dirname "$0")/.."
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
sh proto/generate.sh "$fresh"
diff -r -x '*.proto' -x '*.json' -x __pycache__ proto/nearhash "$fresh/nearhash" ||
  { echo "The stubs are not what the protos generate. Run: make proto"; exit 1; }
