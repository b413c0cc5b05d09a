INSERT INTO "members" ("handle", "name") VALUES ('lene', 'Lene Holm'), ('arda', 'Arda Yildiz');
