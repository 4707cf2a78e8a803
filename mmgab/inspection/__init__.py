"""Of a trained model: the subject of a measurement, the report of a run."""
