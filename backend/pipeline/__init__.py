"""The work of a job, from views to result: one runner for each kind of job."""
