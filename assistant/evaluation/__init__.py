"""How good the answers are: base and tuned, without and with the index, judged by facts. Also promotes an adapter."""
