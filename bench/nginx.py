"""nginx on loopback, which serves a catalogue."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: The last digits of a file's id are the number of the file on disk that its download leads to.
NUMBER_DIGITS = 4

_HOST = "127.0.0.1"
_START_SECONDS, _TICK_SECONDS, _STOP_SECONDS = 10, 0.02, 10

#: Beside the API and storage, a repository for huggingface_hub that has the same files.
CONFIGURATION = """
daemon off;
master_process off;
pid "{folder}/nginx.pid";
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    log_format path '$request_uri';
    access_log "{folder}/access.log" path;
    {temporary}
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    absolute_redirect off;
    map $arg_cursor $page {{ default 1; "~(?<first>[0-9]+)$" $first; }}
    map $arg_fileId $stored {{ "~(?<number>[0-9]{{{digits}}})$" $number; }}
    server {{
        listen {host}:{port};
        location = /api/v1/models {{
            root "{pages}";
            default_type application/json;
            try_files /$page.json =404;
        }}
        location /api/download/models/ {{
            return 307 /files/$stored.safetensors?X-Amz-Expires=86400&X-Amz-Signature=made-up;
        }}
        location /files/ {{ alias "{files}/"; }}
        location /made-up/files/resolve/main/ {{ alias "{files}/"; }}
    }}
}}
"""

#: Folders for parts of messages. They are not used here, but nginx makes them.
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(folder: Path, *, pages: Path, files: Path) -> Iterator[str]:
    """Serve list pages and files; gives the URL. `folder` gets the log of requested paths.

    Raises:
        RuntimeError: nginx does not start.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with socket.create_server((_HOST, 0)) as listener:
        port = listener.getsockname()[1]
    temporary = "".join(f'{name}_temp_path "{folder}/temp";' for name in TEMPORARY)
    places = {"temporary": temporary, "folder": folder, "pages": pages, "files": files}
    configuration, errors = folder / "nginx.conf", folder / "error.log"
    configuration.write_text(
        CONFIGURATION.format(host=_HOST, port=port, digits=NUMBER_DIGITS, **places)
    )
    with errors.open("w") as said:
        process = subprocess.Popen([path() or "nginx", "-c", configuration], stderr=said)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx does not start: {errors.read_text()}")
            time.sleep(_TICK_SECONDS)
        yield f"http://{_HOST}:{port}"
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        finally:
            process.kill()


def path() -> str | None:
    """Where nginx is, which Debian installs where only root looks; None if it is not installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex((_HOST, port)) == 0
