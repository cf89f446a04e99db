"""SIMBA's plan."""
