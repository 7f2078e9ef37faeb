"""`tejido user`: who may log in to the API."""
