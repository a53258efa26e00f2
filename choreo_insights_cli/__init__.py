"""`insights`: the operator's commands, for a stack on AWS and on the local AWS alike."""
