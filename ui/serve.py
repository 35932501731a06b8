"""Runs the web server: ``python ui/serve.py --server.port=8501 -- DOMAIN``.

This is ``streamlit run ui/app.py``, except that on Ctrl-C or SIGTERM the answers in progress are stopped and saved.
Streamlit alone would run until they are complete, and then lose them.
"""

import signal
import sys
from pathlib import Path

from streamlit.web.cli import main as streamlit

from ui.speech import finish_all


def serve(arguments: list[str]) -> None:
    """Serve the page until a signal; ``arguments`` are those of ``streamlit run`` after the file name."""
    streamlit(["run", str(Path(__file__).with_name("app.py")), *arguments], standalone_mode=False)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent process may send it twice
    signal.signal(signal.SIGINT, signal.default_int_handler)
    finish_all()


if __name__ == "__main__":
    serve(sys.argv[1:])
