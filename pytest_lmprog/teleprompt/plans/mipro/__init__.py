"""The plan of MIPROv2, and the trials that BootstrapFewShotWithOptuna shares with it."""
