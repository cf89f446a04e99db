"""GEPA's plan."""
