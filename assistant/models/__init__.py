"""Language models for LangChain: local ones, with tools, structured output and adapters, and remote ones."""
