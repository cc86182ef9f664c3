"""The records that stages exchange, the files that hold them, and the outputs of jobs."""
