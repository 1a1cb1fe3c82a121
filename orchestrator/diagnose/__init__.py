"""What is wrong with a run: causes of attempts that ended, and findings about all of it.

Pure functions over what was recorded: the same case gives the same findings. Only `findings` loads
the rules, which a command that names the cause of a failure does not need.
"""
