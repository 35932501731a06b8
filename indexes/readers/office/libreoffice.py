"""Old formats of office programs (.doc, .ppt, .rtf, .wps), turned into new ones by LibreOffice where it is installed.

One process for a file, with a limit of time, and with a profile in a temporary folder: it neither sees nor disturbs a
LibreOffice that a person has open, and no macro of a document runs in a profile that trusts nothing.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from indexes.errors import IndexingError

SECONDS = 100
KINDS = {
    ".doc": "a Word document of before 2007 (.doc)",
    ".ppt": "a PowerPoint presentation of before 2007 (.ppt)",
    ".rtf": "in Rich Text Format (RTF)",
    ".odp": "an OpenDocument presentation",
}
PROGRAMS = ("soffice", "libreoffice", "/Applications/LibreOffice.app/Contents/MacOS/soffice")


def find_libreoffice() -> str | None:
    """The program; None where it is not installed."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def converted(data: bytes, suffix: str, to: str) -> bytes:
    """A file of one format (``".doc"``) as one of another (``"docx"``).

    Raises :class:`IndexingError` with the end of a sentence that begins with the file's name.
    """
    program = find_libreoffice()
    if not program:
        kind = KINDS[suffix]
        raise IndexingError(f"is {kind}, which is read where LibreOffice is installed; install it, or save it as {to}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"document{suffix}"
        file.write_bytes(data)
        profile = (Path(folder) / "profile").as_uri()
        command = [program, f"-env:UserInstallation={profile}", "--headless", "--norestore", "--convert-to", to]
        try:
            subprocess.run([*command, "--outdir", folder, str(file)], capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise IndexingError(f"took LibreOffice longer than {SECONDS} seconds; save it as {to}") from None
        made = file.with_suffix(f".{to}")
        if not made.is_file():
            raise IndexingError(f"is a file that LibreOffice cannot read; open it and save it as {to}")
        return made.read_bytes()
