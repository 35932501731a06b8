"""From question to answer: search, refusal, citations and checks. ``steps.py`` is the pipeline that everything uses."""
