"""Agents: models that choose tools, step by step, and answer from what the tools return."""
