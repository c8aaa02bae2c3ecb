package meta

import (
	"time"

	"discordcloud/pkg/cloud"
)

// Find asks for entries anywhere in the tree by their names and properties.
type Find struct {
	Viewer  cloud.UserID // sees as in Query
	Text    string       // part of the name, whatever its case; "" for all with Starred or Recent
	Kind    cloud.Kind   // "" for both
	Types   []string     // MIME types of files, or their beginnings: "image/"; none for all
	Owner   cloud.UserID // 0 for anybody's
	Least   int64        // size of files, in bytes
	Most    int64        // 0 for no bound
	Since   time.Time    // of the last change; zero for no bound
	Until   time.Time    // exclusive; zero for no bound
	Starred bool         // those alone that the viewer has starred
	Recent  bool         // what has changed last comes first
	Limit   int          // 1 and more
	After   string       // cursor of an earlier page
}

// FindMost is how many entries a search reads on to; who wants more asks for
// less.
const FindMost = 10_000
