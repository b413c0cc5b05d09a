INSERT INTO observers (id, handle, display_name) VALUES
    ('7a0c3f52-4b1d-4c8e-9a57-2f6d1e8b9c01', 'linnea', 'Linnea Dahl'),
    ('7a0c3f52-4b1d-4c8e-9a57-2f6d1e8b9c02', 'teo', 'Teo Marsh'),
    ('7a0c3f52-4b1d-4c8e-9a57-2f6d1e8b9c03', 'aino', 'Aino Kivi');
