"""The tools of the agents: ordinary LangChain tools with short descriptions, small schemas and bounded results.

``toolset.py`` builds the tools that domain.toml allows, and names those that need a person's approval.
"""
