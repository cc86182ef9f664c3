"""Records and files: what the stages exchange, how it is read and written, and how a job leaves its output."""
