-- Whether an entry is shared itself, or once was: it spares a page the look at
-- the shares of each of its entries.
ALTER TABLE entries ADD COLUMN shared BOOLEAN NOT NULL DEFAULT 0;
UPDATE entries SET shared = TRUE WHERE id IN (SELECT entry_id FROM shares UNION SELECT entry_id FROM group_shares);
