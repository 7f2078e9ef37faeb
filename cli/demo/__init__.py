"""`tejido demo`: from a catalogue to an answered search, on real services, run by Airflow."""
