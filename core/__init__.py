"""What every part stands on: errors with stable codes, settings, files written atomically, logs, progress."""
