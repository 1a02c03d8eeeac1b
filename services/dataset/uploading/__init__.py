"""What arrives when somebody uploads: raw bytes or a multipart form, taken apart as a stream."""
