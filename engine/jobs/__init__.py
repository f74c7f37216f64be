"""Heavy one-off work as a chain of programs: a table of stages, run one after the other. See docs/JOBS.md."""
