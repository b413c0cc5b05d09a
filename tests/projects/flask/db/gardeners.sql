INSERT INTO gardeners (handle, display_name, cognito_user_id) VALUES
    ('mira', 'Mira Sand', 'a2c54484-70a1-7038-1f3d-6d0d0a1f9b11'),
    ('tomas', 'Tomas Reyes', 'b2d5a4f4-0081-70b5-9a55-2c1f8c1e7a22');
