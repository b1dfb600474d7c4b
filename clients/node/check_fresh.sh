#!/bin/sh
# Fails when src/gen differs from what the protos generate.
set -eu
cd "$(dirname "$0")"
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
sh generate.sh "$fresh"
diff -r src/gen "$fresh" || { echo "clients/node/src/gen is not what the protos generate. Run: make proto"; exit 1; }
