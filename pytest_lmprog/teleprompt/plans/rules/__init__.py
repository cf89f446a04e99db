"""InferRules' plan."""
