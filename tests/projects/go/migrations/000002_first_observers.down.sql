DELETE FROM observers WHERE handle IN ('linnea', 'teo', 'aino');
