"""Python imports this at its start: Snakemake and jobs run in the fork server of the tests.

The process that was started waits for its stand-in and ends with its exit status.
"""

import json
import os
import socket
import sys

if sys.orig_argv[1:4] in (["-P", "-m", "snakemake"], ["-P", "-m", "slr_pipeline.steps"]):
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(os.environ["FORK_SERVER"])
        socket.send_fds(server, [b"-"], [0, 1, 2])
        request = [sys.orig_argv[3:], sys.path, os.getcwd(), dict(os.environ)]
        server.sendall(json.dumps(request).encode())
        server.shutdown(socket.SHUT_WR)
        code = int(server.recv(8) or b"1")
    os._exit(code if code >= 0 else 128 - code)
