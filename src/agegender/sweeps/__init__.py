"""Many trainings from one command: run, continued, searched and summed up."""
