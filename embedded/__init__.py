"""The real services as child processes of one command: one service a file, and stack.py that starts them all."""
