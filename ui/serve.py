"""The server of the page: ``python ui/serve.py --server.port=8501 -- DOMAIN``.

It is ``streamlit run ui/app.py``, but when it is told to end (Ctrl-C, SIGTERM) the answers that are being made are
stopped and kept. Left to Streamlit, the process would go on until they were whole, and then lose them.
"""

import signal
import sys
from pathlib import Path

from streamlit.web.cli import main as streamlit

from ui.speech import finish_all


def serve(arguments: list[str]) -> None:
    """Run the page until it is told to end; ``arguments`` as ``streamlit run`` takes them after the file's name."""
    streamlit(["run", str(Path(__file__).with_name("app.py")), *arguments], standalone_mode=False)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # who started this process may say it twice
    signal.signal(signal.SIGINT, signal.default_int_handler)
    finish_all()


if __name__ == "__main__":
    serve(sys.argv[1:])
