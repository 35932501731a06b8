"""From question to answer: search, refusal, citations and checks. ``pipeline.py`` is what everything uses."""
