"""sharpmin: did this run land in a sharp minimum?"""
