"""`tejido audit`: who came in, who was let, what became of models."""
