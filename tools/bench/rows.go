package main

import "context"

// row is one or more lines of the table.
type row struct {
	name    string
	measure func(context.Context, *world) ([]result, error)
}

// rows are in the order in which they are measured: those that begin with a
// fresh process are last.
var rows = []row{
	{"download", download},
	{"upload", uploading},
	{"line", farAway},
	{"first-byte", firstByte},
	{"one-byte", oneByte},
	{"limits", underLimits},
	{"zip-one", zipOne},
	{"zip-many", zipMany},
	{"zip-walk", zipWalk},
	{"cli", cliLarge},
	{"rclone", rcloneLarge},
	{"dav-small", davSmall},
	{"rclone-small", rcloneSmall},
	{"propfind", listings},
	{"idle", idle},
	{"thumb-photo", thumbPhoto},
	{"thumb-many", thumbMany},
	{"thumb-film", thumbFilm},
	{"database", func(ctx context.Context, w *world) ([]result, error) { return asking(ctx, w, inSQLite) }},
	{"database-postgres", func(ctx context.Context, w *world) ([]result, error) { return asking(ctx, w, inPostgres) }},
	{"browse", func(ctx context.Context, w *world) ([]result, error) { return browsing(ctx, w, inSQLite) }},
	{"store", func(ctx context.Context, w *world) ([]result, error) { return storing(ctx, w, inSQLite) }},
	{"browse-postgres", func(ctx context.Context, w *world) ([]result, error) { return browsing(ctx, w, inPostgres) }},
	{"store-postgres", func(ctx context.Context, w *world) ([]result, error) { return storing(ctx, w, inPostgres) }},
	{"one-byte-cached", oneByteCached},
	{"memory-down", memoryDown},
	{"memory-up", memoryUp},
}
