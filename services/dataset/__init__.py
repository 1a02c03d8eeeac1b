"""The dataset service: tables that users upload, read in, profiled, kept and handed out."""
