"""`outdial doctor`: what is missing to make a real call, in plain words."""
