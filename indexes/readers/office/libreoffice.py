"""Convert old office formats (.doc, .ppt, .rtf, .wps) to new ones with LibreOffice, if it is installed.

Each file gets its own process with a time limit and a profile in a temporary folder. The process does not interfere
with a LibreOffice that the user has open, and the profile trusts no document, so that no macro runs.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from indexes.errors import IndexingError

SECONDS = 100
KINDS = {
    ".doc": "a Word document from before 2007 (.doc)",
    ".ppt": "a PowerPoint presentation from before 2007 (.ppt)",
    ".rtf": "in Rich Text Format (RTF)",
    ".odp": "an OpenDocument presentation",
}
PROGRAMS = ("soffice", "libreoffice", "/Applications/LibreOffice.app/Contents/MacOS/soffice")


def find_libreoffice() -> str | None:
    """The program; None if it is not installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def converted(data: bytes, suffix: str, to: str) -> bytes:
    """Convert a file from one format (``".doc"``) to another (``"docx"``).

    Raises :class:`IndexingError` whose message continues a sentence that starts with the file's name.
    """
    program = find_libreoffice()
    if not program:
        kind = KINDS[suffix]
        raise IndexingError(f"is {kind}, which needs LibreOffice; install LibreOffice, or save the file as {to}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"document{suffix}"
        file.write_bytes(data)
        profile = (Path(folder) / "profile").as_uri()
        command = [program, f"-env:UserInstallation={profile}", "--headless", "--norestore", "--convert-to", to]
        try:
            subprocess.run([*command, "--outdir", folder, str(file)], capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise IndexingError(f"took LibreOffice more than {SECONDS} seconds; save it as {to}") from None
        made = file.with_suffix(f".{to}")
        if not made.is_file():
            raise IndexingError(f"is a file that LibreOffice cannot read; open it and save it as {to}")
        return made.read_bytes()
