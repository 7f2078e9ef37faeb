"""`tejido model`: the versions in MLflow, and which one is the champion."""
