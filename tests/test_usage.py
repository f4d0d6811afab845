import subprocess
import sys
import time

import pytest

from agegender.usage import anonymous_mb, cpu_seconds, memory_mb, process_seconds

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it looks into /proc")

# a process below that of the script, which holds 200 MB and is busy until it is told to stop
BUSY = """
import subprocess, sys, time
held = b"x" * 200_000_000
end = time.process_time() + 1.0
while time.process_time() < end:
    pass
print("done", flush=True)
sys.stdin.read()
"""
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BUSY!r}])
child.wait()
"""


def test_a_process_below_another_counts():
    user, system = cpu_seconds()
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"done\n"
        resident, anonymous = memory_mb(parent.pid)
        used = sum(cpu_seconds()) - user - system
        parent.communicate(b"")
    assert 200 < anonymous < resident < 400
    assert 1.0 <= used < 5


def test_a_process_that_is_gone_is_an_error():
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    with pytest.raises(OSError, match=str(gone.pid)):
        memory_mb(gone.pid)


def test_own_time_and_memory():
    before, first = time.perf_counter(), process_seconds()
    time.sleep(0.2)
    passed = time.perf_counter() - before
    assert process_seconds() - first == pytest.approx(passed, abs=0.05)
    assert first > 0
    assert 10 < anonymous_mb() < 20_000


def test_memory_that_is_used_is_counted():
    code = (
        "from agegender.usage import anonymous_mb as mb; before = mb();"
        "held = bytearray(b'x') * 100_000_000; print(mb() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) == pytest.approx(100, rel=0.1)


def test_time_is_counted_from_the_start_of_the_process():
    code = (
        "import time; time.sleep(0.5); from agegender.usage import process_seconds as s; print(s())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.5 < float(done.stdout) < 20
