-- What stands in a listing for a picture until it is there: a BlurHash, a few
-- colours in 28 characters. It is the content's, as its thumbnail is.
ALTER TABLE objects ADD COLUMN preview TEXT NOT NULL DEFAULT '';
