"""The web page: a chat with one domain, served by Streamlit on this machine (``lorewright ui DOMAIN``).

It displays the results of :class:`assistant.Assistant` and stores nothing itself; the command line and the Python API
offer the same functions.
"""
