"""A tool that runs a short Python program, confined by namespaces of Linux; on other systems it refuses.

The program runs in new namespaces for files, processes, network, IPC and host name. It sees a small file system in
memory with the folders of the system's libraries and of Python, read-only, and an empty working folder; no home, no
documents, no network device. It has no capabilities, cannot start processes, and has limits on processor time, elapsed
time, memory, file size and output. Only the standard library is there (``-I -S``), and the environment is empty.

``unshare``, ``mount``, ``pivot_root``, ``setpriv`` and ``prlimit`` are programs of util-linux. A user without root
rights needs unprivileged user namespaces, which some distributions switch off; then the tool says so.
"""

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Annotated

from langchain_core.tools import BaseTool, ToolException
from pydantic import Field

from assistant.tools.results import bounded, make_tool
from domain import is_text

SECONDS = 10.0
CPU_SECONDS = 8
MEMORY_BYTES = 512_000_000
FILE_BYTES = 4_000_000
OUTPUT_BYTES = 16_000
STARTED = b"confined\n"
"""What the shell script prints once the program is confined: without it, nothing was executed."""
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

DETACH = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
failed = libc.umount2(b"/old", 2) or libc.mount(None, b"/", None, 1 | 32, None)
raise SystemExit(f"errno {ctypes.get_errno()}" if failed else 0)
"""
"""Detaches the old root (MNT_DETACH) and makes the new one read-only (MS_RDONLY | MS_REMOUNT): the program ``umount``
needs /proc, which is not there."""

# System V shared memory and messages would not count as memory of the program, so none can be made; these limits are of
# the new namespace. A process whose root is not that of its mount namespace cannot create user namespaces, in which it
# would have capabilities again; so the program is in a chroot. The shell stays the first process of the namespace:
# --kill-child kills it, and the kernel then kills all others.
CONFINE = f"""
set -e
root=$1; python=$2; prefix=$3; user=$4; detach=$5; code=$6
for limit in shmmni msgmni; do echo 0 > /proc/sys/kernel/$limit; done
mount --make-rprivate /
mount -t tmpfs -o size=16m,mode=755 tmpfs "$root"
cd "$root"
for path in /usr /lib /lib64 /bin "$prefix"; do
  if [ -L "$path" ]; then
    ln -s "$(readlink "$path")" ".$path"
  elif [ -d "$path" ] && ! [ -d ".$path" ]; then
    mkdir -p ".$path"
    mount --bind "$path" ".$path"
    mount -o remount,bind,ro,nosuid,nodev ".$path"
  fi
done
mkdir work old dev jail
mount -t tmpfs -o size=8m,mode=1777,nosuid,nodev tmpfs work
for device in null urandom; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mount --rbind . jail
pivot_root . old
"$python" -I -S -c "$detach"
cd /jail/work
echo confined
set +e
chroot /jail setpriv $user --bounding-set=-all --inh-caps=-all --no-new-privs \\
  prlimit --nproc=0 --as={MEMORY_BYTES} --cpu={CPU_SECONDS} --fsize={FILE_BYTES} --core=0 --nofile=64 \\
  env -i -C /work "$python" -I -S -B -X utf8 -c "$code" < /dev/null
exit $?
"""


def run_python(
    code: Annotated[str, Field(max_length=4000, description="A Python program that prints its result.")],
) -> str:
    """Run a short Python program and return what it prints. It has no files, no network and only the standard
    library."""
    if "\0" in code or not is_text(code):
        raise ToolException("The program is not valid text: it contains half a character or a NUL.")
    with tempfile.TemporaryDirectory() as root:
        output, status = _confined(code, Path(root))
    if not output.startswith(STARTED):
        raise ToolException(
            "Python cannot be confined on this machine, so the program was not run; it needs Linux with user "
            f"namespaces and util-linux ({output.decode(errors='replace').strip()[:200] or 'not found'})."
        )
    text = output[len(STARTED) :].decode(errors="replace").strip()
    if status is None:
        raise ToolException(bounded(f"The program was stopped after {SECONDS:g} seconds. It printed:\n{text}"))
    if len(output) > OUTPUT_BYTES:
        raise ToolException(bounded(f"The program printed too much and was stopped. It printed:\n{text}"))
    if status:
        raise ToolException(bounded(f"The program failed with status {status}:\n{text[-1500:]}"))
    return bounded(text) or "The program printed nothing; use print to see a result."


python_tool: BaseTool = make_tool(run_python)


def _confined(code: str, root: Path) -> tuple[bytes, int | None]:
    """The output of the program, and its status; None if it took too long."""
    if sys.platform != "linux":
        return b"this is not Linux", 1
    is_root = os.geteuid() == 0  # real root needs no user namespace, but must become a user whom limits bind
    namespaces = ["--mount", "--net", "--ipc", "--uts", "--pid", "--fork", "--kill-child"]
    command = ["unshare", *([] if is_root else ["--user", "--map-root-user"]), *namespaces, "sh", "-c", CONFINE, "sh"]
    user = "--reuid=65534 --regid=65534 --clear-groups" if is_root else ""
    command += [str(root), os.path.realpath(sys.executable), sys.base_prefix, user, DETACH, code]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        process = subprocess.Popen(command, env={"PATH": PATH}, cwd="/", start_new_session=True, **pipes)  # type: ignore[call-overload]
    except OSError as error:
        return str(error).encode(), 1
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(SECONDS, stop)
    timer.start()
    try:
        output = process.stdout.read(OUTPUT_BYTES + 1)
        if len(output) > OUTPUT_BYTES:
            process.kill()
        status = process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.stdout.close()
        process.wait()
    return output, None if late.is_set() else status
