"""An HTTP service in the shape of the Hasher-Matcher-Actioner's `GET /m/raw_lookup`, to compare with. For gunicorn.

One PDQ hash a request, PDQIndex of the `threatexchange` package (FAISS MultiHash 16x16), one OpenMP thread. Each worker
loads the whole index for itself from a file, as HMA's do.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import faiss
from flask import Flask, Response, jsonify, request

app = Flask(__name__)
faiss.omp_set_num_threads(1)
_index = pickle.loads(Path(os.environ["RAW_LOOKUP_INDEX"]).read_bytes())  # noqa: S301 - the bench wrote it


@app.get("/m/raw_lookup")
def raw_lookup() -> Response:
    """Return what lies within 31 bits of the hash."""
    found = _index.query(request.args["signal"])
    return jsonify({"matches": [match.metadata for match in found]})
