"""Evaluates answers by facts: base and tuned model, without and with the index. Promotes an adapter that wins."""
