"""Requests as callers of HMA send them, and what they must get."""

from __future__ import annotations

import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from ..service.running import descendants, eventually
from .conftest import MAX_FILE_BYTES, VIDEO, jpeg, pdq_of, running_shim

TIMEOUT_S = 20


def get(shim, path: str, **parameters: object) -> requests.Response:
    return requests.get(shim.url + path, params=parameters, timeout=TIMEOUT_S)


def post(shim, files: dict[str, object], **parameters: object) -> requests.Response:
    return requests.post(f"{shim.url}/m/lookup", files=files, params=parameters, timeout=TIMEOUT_S)


@pytest.fixture(scope="module")
def cat(images) -> str:
    return pdq_of(images["chelsea"])


@pytest.fixture(scope="module")
def near_cat(cat) -> str:
    """Seven bits from the cat."""
    return f"{int(cat, 16) ^ 0x7F:064x}"


def test_a_raw_lookup_answers_content_ids(shim, cat, near_cat):
    answer = get(shim, "/m/raw_lookup", signal=near_cat, signal_type="pdq")
    assert answer.status_code == 200
    assert sorted(answer.json()["matches"], key=str) == [3, "cat [1]"]
    assert answer.json().keys() == {"matches"}
    far = f"{int(cat, 16) ^ (2**40 - 1):064x}"
    assert get(shim, "/m/raw_lookup", signal=far, signal_type="pdq").json() == {"matches": []}


@pytest.mark.parametrize("wanted", ["true", "True", "1"])
def test_a_raw_lookup_answers_distances_as_text(shim, near_cat, wanted):
    answer = get(shim, "/m/raw_lookup", signal=near_cat, signal_type="pdq", include_distance=wanted)
    assert {str(match["content_id"]): match["distance"] for match in answer.json()["matches"]} == {
        "3": "7",
        "cat [1]": "7",
    }


def test_a_lookup_answers_the_banks(shim, cat, near_cat):
    assert sorted(get(shim, "/m/lookup", signal=near_cat, signal_type="pdq", seed="abc").json()) == [
        "named",
        "numbered",
    ]
    assert get(shim, "/m/lookup", signal=cat, signal_type="pdq", banks="named").json() == ["named"]
    assert get(shim, "/m/raw_lookup", signal=cat, signal_type="pdq", banks="numbered,").json() == {"matches": [3]}
    assert get(shim, "/m/lookup", signal="0" * 31 + "1", signal_type="video_md5").json() == []


def test_a_file_is_hashed_and_looked_up(shim, images):
    photo = jpeg(images["coffee"].resize((300, 200)))
    assert post(shim, {"photo": ("coffee.jpg", photo, "image/jpeg")}).json() == {"pdq": ["numbered"]}
    # As clients send files without a name or type.
    assert post(shim, {"photo": photo}, types="pdq, phash64").json() == {"pdq": ["numbered"], "phash64": []}
    assert post(shim, {"photo": photo}, banks="named").json() == {"pdq": []}
    assert post(shim, {"video": VIDEO}).json() == {"video_md5": ["named"]}


def test_what_was_not_searched_is_said(shim):
    answer = get(shim, "/m/raw_lookup", signal="0" * 64, signal_type="pdq")
    assert answer.json() == {"matches": []}
    assert answer.headers["nearhash-note"].startswith("pdq: not searched, this pdq256 hash says too little")
    assert "nearhash-note" not in get(shim, "/m/lookup", signal="0" * 31 + "1", signal_type="md5").headers


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        ("/m/raw_lookup", {"signal_type": "pdq"}, "signal is required"),
        ("/m/lookup", {"signal": "00"}, "signal_type is required"),
        ("/m/lookup", {"signal": "00", "signal_type": "tmk"}, "No such SignalType 'tmk'"),
        ("/m/raw_lookup", {"signal": "00", "signal_type": "pdq"}, "found 2 characters; pdq256 has 64 hex digits"),
        ("/m/raw_lookup", {"signal": "g" * 64, "signal_type": "pdq"}, "no hex digits"),
        (
            "/m/raw_lookup",
            {"signal": "1" * 64, "signal_type": "pdq", "include_distance": "maybe"},
            "invalid boolean parameter - prefer true/false",
        ),
        ("/m/lookup", {"url": "http://127.0.0.1/secret"}, "nothing is fetched here"),
    ],
)
def test_a_wrong_request_is_refused_in_hmas_form(shim, path, parameters, message):
    answer = get(shim, path, **parameters)
    assert answer.status_code == 400
    assert answer.json().keys() == {"message"}
    assert message in answer.json()["message"]
    assert "g" * 64 not in answer.text


def test_an_unknown_bank_and_path_are_refused(shim, cat):
    assert get(shim, "/m/lookup", signal=cat, signal_type="pdq", banks="nowhere").status_code == 404
    assert get(shim, "/nowhere").json() == {"message": "Not Found"}
    assert requests.put(f"{shim.url}/m/lookup", timeout=TIMEOUT_S).status_code == 405


@pytest.mark.parametrize(
    ("files", "parameters", "status", "message"),
    [
        ({}, {}, 400, "Missing multipart/form-data file upload"),
        ({"photo": b"text"}, {}, 400, "in no image format that is read"),
        ({"sound": b"text"}, {}, 400, "no such content_type: 'sound'"),
        ({"photo": b"text"}, {"types": "video_md5"}, 400, "does not exist for a photo"),
        ({"photo": b"text"}, {"types": ","}, 400, "empty signal type selection"),
        ({"photo": b"text", "video": b"text"}, {}, 400, "Too many files"),
        ({"photo": bytes(2 * MAX_FILE_BYTES)}, {}, 413, f"at most {MAX_FILE_BYTES} bytes"),
    ],
)
def test_a_wrong_upload_is_refused(shim, files, parameters, status, message):
    answer = post(shim, files, **parameters)
    assert (answer.status_code, answer.json().keys()) == (status, {"message"})
    assert message in answer.json()["message"]


def test_an_upload_that_does_not_announce_its_size_is_cut_off(shim):
    def endless():
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        for _ in range(200):
            yield bytes(16 * 1024)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    try:
        answer = requests.post(f"{shim.url}/m/lookup", data=endless(), headers=headers, timeout=TIMEOUT_S)
    except requests.ConnectionError:
        # The answer came before the upload was over, and the connection ended with it.
        return
    assert answer.status_code == 413


def test_an_image_with_too_many_pixels_is_refused(shim, images):
    answer = post(shim, {"photo": jpeg(images["coffee"].resize((1000, 1000)))})
    assert answer.status_code == 413
    assert "at most max_pixels = 400000" in answer.json()["message"]


def command_of(process_id: int) -> str:
    return Path(f"/proc/{process_id}/cmdline").read_bytes().decode()


def test_hashing_goes_on_after_its_processes_died(server, images):
    photo = {"photo": jpeg(images["coffee"])}
    with running_shim(server.address) as shim:
        assert post(shim, photo).json() == {"pdq": ["numbered"]}
        hashing = {process_id for process_id in descendants(shim.process.pid) if "spawn_main" in command_of(process_id)}
        for process_id in hashing:
            os.kill(process_id, signal.SIGKILL)
        answer = eventually(lambda: (done := post(shim, photo)).status_code == 200 and done)
        assert answer.json() == {"pdq": ["numbered"]}
        assert hashing
        assert hashing.isdisjoint(descendants(shim.process.pid))


def test_raw_bytes_that_are_no_request_do_not_end_it(shim):
    address = urlsplit(shim.url)
    for junk in (
        b"\x00" * 100,
        b"GET /m/lookup?signal=\xff HTTP/1.1\r\n\r\n",
        b"POST /m/lookup HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ):
        with socket.create_connection((address.hostname, address.port), timeout=TIMEOUT_S) as connection:
            connection.sendall(junk)
            connection.settimeout(TIMEOUT_S)
            assert b" 500 " not in connection.recv(1000)
    assert get(shim, "/status").text == "I-AM-ALIVE"


def test_many_requests_at_once_are_each_answered_as_alone(shim, images):
    signals = [pdq_of(image) for image in images.values()] * 12
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(
                lambda signal: get(shim, "/m/raw_lookup", signal=signal, signal_type="pdq", banks="numbered"), signals
            )
        )
    expected = [{"matches": [number]} for number in range(1, len(images) + 1)] * 12
    assert [answer.json() for answer in answers] == expected


def test_the_status_is_hmas(shim):
    for path, text in (("/status", "I-AM-ALIVE"), ("/readyz", "READY"), ("/livez", "OK")):
        answer = get(shim, path)
        assert (answer.status_code, answer.text) == (200, text)


def test_without_a_server_it_is_alive_but_not_ready():
    with running_shim("127.0.0.1:1", "--timeout-s", "1") as shim:
        assert get(shim, "/livez").status_code == 200
        answer = get(shim, "/status")
        assert (answer.status_code, answer.text) == (503, "INDEX-NOT-LOADED")
        looked_up = get(shim, "/m/lookup", signal="1" * 64, signal_type="pdq")
        assert looked_up.status_code in {503, 504}
        assert looked_up.json().keys() == {"message"}
