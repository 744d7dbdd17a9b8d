"""Parts of the trial of dialing: the stack under trial, its troubles, its work, and its judge."""
