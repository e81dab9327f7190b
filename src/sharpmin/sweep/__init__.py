"""A list of runs, carried out by a pool of processes here, by Ray or by Slurm.

A run's folder is named by the hash of its configuration and skipped when complete. So any engine may retry, and any
sweep resumes: the run folders are all the state there is.
"""
