"""Speed, memory and requests, measured beside other tools: `make bench`. No test."""
