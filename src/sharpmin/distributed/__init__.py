"""One job on several processes that torchrun started, with the numbers of one process."""
