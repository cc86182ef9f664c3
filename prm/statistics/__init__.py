"""Pure statistics: aggregation, intervals, calibration, metrics, bootstrap. No files and no models."""
