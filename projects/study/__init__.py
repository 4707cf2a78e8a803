"""All methods trained on all tasks over seeds: docs/study.md."""
