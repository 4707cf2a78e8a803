"""Files from the web: whole, with the right hash, and without what a URL keeps secret."""
