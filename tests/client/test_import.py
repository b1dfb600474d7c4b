import subprocess
import sys

import nearhash_client
import nearhash_client.admin


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def test_the_client_loads_no_numeric_or_image_library():
    done = run_python(
        "import sys, nearhash_client.admin\n"
        "print(*{'numpy', 'numba', 'PIL', 'imagehash', 'pdqhash', 'scipy', 'lmdb'} & set(sys.modules))"
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_packing_python_values_loads_no_numpy():
    done = run_python(
        "import sys\n"
        "from nearhash_client.packing import pack\n"
        "from nearhash_client import HASH_TYPES\n"
        "assert pack([1, '0' * 16, bytes(8)], HASH_TYPES['phash64']) == bytes(7) + b'\\x01' + bytes(16)\n"
        "print('numpy' in sys.modules)"
    )
    assert (done.stdout.strip(), done.stderr) == ("False", "")


def test_hashing_without_its_libraries_says_what_to_install():
    done = run_python("import sys; sys.modules['PIL'] = None; import nearhash_client.hashing")
    assert done.returncode == 1
    assert "nearhash_client.hashing needs PIL; install it with: pip install 'nearhash[images]'" in done.stderr


def test_every_exported_name_exists():
    for package in (nearhash_client, nearhash_client.admin):
        assert [name for name in package.__all__ if not hasattr(package, name)] == []
