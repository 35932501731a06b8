"""From a question to its answer: search, refusal, citations and checks. Everything asks through ``steps.py``."""
