"""Dataset checks of ``mmgab check``: files, annotations, label maps, settings and evaluators."""
