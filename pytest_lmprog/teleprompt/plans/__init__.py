"""Plans: how each strategy compiles, loaded when it does. Its settings are one folder up."""
