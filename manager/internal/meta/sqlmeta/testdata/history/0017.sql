-- What version 17 knows of shares.
UPDATE entries SET shared = TRUE WHERE id IN (SELECT entry_id FROM shares UNION SELECT entry_id FROM group_shares);
