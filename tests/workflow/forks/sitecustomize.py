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
        request = json.dumps([sys.orig_argv[3:], sys.path, os.getcwd(), dict(os.environ)]).encode()
        socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(request)
        code = int(server.recv(8) or b"1")
    os._exit(code if code >= 0 else 128 - code)
