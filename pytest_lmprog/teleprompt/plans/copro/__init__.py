"""COPRO's plan."""
