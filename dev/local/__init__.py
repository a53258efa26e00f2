"""The project on one machine: a local AWS, the sandbox, the deployed stack, and a demo of it."""
