#!/usr/bin/env bash
# Generates both clients from schema/schema.graphql and the operations beside this script. The generators are installed
# on first use: for TypeScript by npm, for Python into a virtual environment of their own, as they need an older
# graphql-core than the server does.
set -euo pipefail
cd "$(dirname "$0")"

(
    cd typescript
    test -x node_modules/.bin/graphql-codegen || npm ci --ignore-scripts
    rm -rf src/generated
    npm run --silent generate -- --silent
)
(
    cd python
    if ! test -x .venv/bin/ariadne-codegen; then
        "${PYTHON:-python3}" -m venv .venv
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement generator/requirements.txt
    fi
    rm -rf lifeos_client/generated
    PYTHONPATH=. .venv/bin/ariadne-codegen >/dev/null
)
