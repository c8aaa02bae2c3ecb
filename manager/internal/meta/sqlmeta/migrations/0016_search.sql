-- All names in their order: of a text that many names have, a search finds the
-- first page without reading the rest.
CREATE INDEX entries_by_key ON entries (name_key, name, id);
