"""Tools for trained models: subjects of measurements, position bias tables, reports of runs."""
