"""The parts of the simulation of reviewers who label what the queue asks about."""
