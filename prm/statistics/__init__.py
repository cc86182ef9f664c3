"""Numbers alone: aggregation, intervals, calibration, metrics, bootstrap. Nothing here knows of files or models."""
