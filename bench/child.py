"""Run a program and write its cost as JSON: `python -IS child.py FD PROGRAM ...`.

A program begins as a copy of the process that starts it, and the memory of that copy counts as its own.
This process is small, and the measured program is its only child.
"""

import json
import os
import sys
import time

begun = time.perf_counter()
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_pid, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - begun
peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)  # else in KiB
cost = {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "peak": peak}
os.write(int(sys.argv[1]), json.dumps(cost).encode())
sys.exit(os.waitstatus_to_exitcode(status))
