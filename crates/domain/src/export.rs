//! Step 3 of usage out: a request at a watermark becomes a plan of files, columns and scans.
