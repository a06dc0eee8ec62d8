"""The Lambda functions, one file each, named as the function. Each does nothing but adapt."""
