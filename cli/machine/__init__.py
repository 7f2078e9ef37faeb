"""`tejido machine`: programs that may ask the API."""
