"""`alexnet serve` in a process of its own, on a free port, as its clients see it."""

import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import urllib3


class Service:
    """A running service; called with a path, it is asked."""

    def __init__(self, *words):
        from alexnet.models.variants import VARIANTS

        head = "from alexnet.models.variants import VARIANTS, Variant\n"
        head += f"VARIANTS['toy'] = {VARIANTS['toy']!r}\n" if "toy" in VARIANTS else ""
        command = f"{head}from alexnet.cli import main\nmain({['serve', *map(str, words), '--port', '0']!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", command], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self.log = []
        for line in self.process.stderr:
            self.log.append(line.decode())
            if address := re.search(r"serving .* at http://([\d.]+):(\d+)", self.log[-1]):
                self.host, self.port = address[1], int(address[2])
                break
        else:
            raise AssertionError(self.log)
        self.reader = threading.Thread(target=lambda: self.log.extend(map(bytes.decode, self.process.stderr)))
        self.reader.start()
        self.web = urllib3.HTTPConnectionPool(self.host, self.port, maxsize=40, retries=False, timeout=60)

    def __call__(self, path, body=None, method=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.web.request(method or ("GET" if body is None else "POST"), path, body=body, headers=headers)

    def megabytes(self):
        """Returns what memory of the process is resident."""
        with Path(f"/proc/{self.process.pid}/status").open() as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))

    def end(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.reader.join()
        self.process.stderr.close()
        self.web.close()
        return code


def multipart(contents):
    """Returns a body with picture files, and its content type."""
    return urllib3.encode_multipart_formdata([("file", (f"{i}.jpg", data)) for i, data in enumerate(contents)])
