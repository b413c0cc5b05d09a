SELECT users.uuid, users.display_name
FROM public.users
WHERE users.handle = %(handle)s
