"""Personal data in tables: found by a scan of some of the values, corrected by the owner, confirmed before publishing."""
