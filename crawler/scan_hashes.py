"""Files of a scan that only their bytes can tell to be crawled ones: hashed, however long they are.

Most headers claim the hash of their weights, which costs nothing to look up. For the others a whole
file is read, but only where a crawled one of known SHA-256 is exactly as long, and only once.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from crawler.model import FileHashes, LocalFile
from crawler.scan_tally import ScanTally
from crawler.sources.disk import LENGTH_BYTES, hash_file
from crawler.store.connect.database import Engine, translated
from crawler.store.read import matches
from crawler.store.write import local_files as writes_local


def hash_likely(
    engine: Engine,
    files: Mapping[int, LocalFile],
    *,
    tally: ScanTally,
    going: Callable[[], bool],
) -> None:
    """Hash those of the files that may be crawled ones; each is stored at once.

    Args:
        engine: The database; the files are stored in it.
        files: By their ids, as they looked before they were read.
        tally: Grows while it runs.
        going: Asked before each file; False ends it, and the next scan goes on.
    """
    with translated(engine.url), engine.begin() as connection:
        likely = matches.to_be_hashed(connection, files)
    tally.to_hash = len(likely)
    for file_id, header_bytes in likely.items():
        if not going():
            return
        hashes = _hashes(files[file_id], header_bytes)
        if hashes is not None:
            with translated(engine.url), engine.begin() as connection:
                writes_local.store_hashes(connection, {file_id: hashes})
        tally.hashed += 1


def _hashes(file: LocalFile, header_bytes: int | None) -> FileHashes | None:
    """None where the file cannot be read, or is no longer the one whose header was read."""
    end = None if header_bytes is None else LENGTH_BYTES + header_bytes
    try:
        path = Path(file.path)
        hashes, now = hash_file(path, header_bytes=end), path.stat()
    except OSError:
        return None
    same = (now.st_size, now.st_mtime_ns) == (file.size_bytes, file.mtime_ns)
    return hashes if same else None
