"""The main job: pass@k over a model family, from a request to a report."""
