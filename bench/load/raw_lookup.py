"""An HTTP service in the shape of the Hasher-Matcher-Actioner's `GET /m/raw_lookup`, to compare with. For gunicorn.

One PDQ hash a request, PDQIndex of the `threatexchange` package (FAISS MultiHash 16x16), one OpenMP thread. Each worker
loads the whole index for itself from a file, as HMA's do. With a database, each request asks it whether the type of the
hash is switched off, and the hash is validated, both as HMA does; without, nothing is left but Flask and the index.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import faiss
from flask import Flask, Response, abort, jsonify, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from threatexchange.signal_type.pdq.signal import PdqSignal

app = Flask(__name__)
faiss.omp_set_num_threads(1)
_index = pickle.loads(Path(os.environ["RAW_LOOKUP_INDEX"]).read_bytes())  # noqa: S301 - the bench wrote it


class _Table(DeclarativeBase):
    pass


_database = SQLAlchemy(model_class=_Table)


class _Setting(_database.Model):
    """Which share of requests for a type is answered; types without a row are on."""

    __tablename__ = "setting"
    name: Mapped[str] = mapped_column(primary_key=True)
    enabled_ratio: Mapped[float]


# None, if HMA's settings are left out.
_URL = os.environ.get("RAW_LOOKUP_DATABASE") or None
if _URL:
    app.config["SQLALCHEMY_DATABASE_URI"] = _URL
    _database.init_app(app)


@app.get("/m/raw_lookup")
def raw_lookup() -> Response:
    """Return what lies within 31 bits of the hash."""
    signal_type, signal = request.args["signal_type"], request.args["signal"]
    if _URL:
        enabled = {row.name: row.enabled_ratio for row in _database.session.scalars(select(_Setting))}
        if not enabled.get(signal_type, 1.0):
            abort(400, f"{signal_type} is not enabled")
        signal = PdqSignal.validate_signal_str(signal)
    return jsonify({"matches": [match.metadata for match in _index.query(signal)]})
