"""What `python -m mmgab.doctor` looks at: whether this installation can train, and if not, why."""
