"""The page: a chat with one domain, served by Streamlit on this machine (``lorewright ui DOMAIN``).

It shows what :class:`assistant.Assistant` gives and keeps nothing of its own; whatever it can do, the command line and
Python can do.
"""
