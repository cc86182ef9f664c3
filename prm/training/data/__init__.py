"""The examples of a training: read, rendered and split once, kept in arrays, and audited."""
