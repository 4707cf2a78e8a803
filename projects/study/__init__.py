"""Study of all methods on several tasks and seeds; see docs/study.md."""
