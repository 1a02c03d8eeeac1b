"""Personal data in tables: found in some of the values, corrected by the owner, confirmed before publishing."""
