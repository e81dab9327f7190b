"""The same tasks by sharpmin, by other libraries and by plain PyTorch, each as its users would write them."""
