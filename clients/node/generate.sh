#!/bin/sh
# Generates the TypeScript messages from the protos, those of gRPC's error details, and the service config as TypeScript,
# into the folder named.
set -eu
cd "$(dirname "$0")"
target=${1:?usage: generate.sh FOLDER}
rpc=$(../../.venv/bin/python -c 'import google.rpc; print(google.rpc.__path__[0])')
mkdir -p "$target"
PATH="$PWD/node_modules/.bin:$PATH"
plugin='{"local": "protoc-gen-es", "out": "'$target'", "opt": ["target=ts", "import_extension=js"]}'
template='{"version": "v2", "plugins": ['$plugin']}'
../../.venv/bin/buf generate ../../proto --template "$template"
../../.venv/bin/buf generate "${rpc%/google/rpc}" --path "$rpc/error_details.proto" --path "$rpc/status.proto" --template "$template"
config=nearhash/v1/nearhash_grpc_service_config
printf 'export const SERVICE_CONFIG = %s;\n' "$(cat ../../proto/$config.json)" >"$target/$config.ts"
