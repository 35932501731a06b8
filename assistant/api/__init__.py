"""The HTTP server: OpenAI's API for the domains of this machine (docs/api.md)."""
