"""The catalogue: GraphQL documents, the schema they are checked against, and their compiler."""
