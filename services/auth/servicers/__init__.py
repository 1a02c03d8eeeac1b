"""The RPCs of the auth service: protobuf in, use case, protobuf out."""
