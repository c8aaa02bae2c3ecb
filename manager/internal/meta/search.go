package meta

import (
	"time"

	"discordcloud/pkg/cloud"
)

// Find asks for entries anywhere in the tree by their names and properties.
type Find struct {
	Viewer cloud.UserID // sees as in Query
	Text   string       // part of the name, whatever its case; at least one character
	Kind   cloud.Kind   // "" for both
	Type   string       // MIME type of files, or its beginning: "image/"; "" for all
	Owner  cloud.UserID // 0 for anybody's
	Least  int64        // size of files, in bytes
	Most   int64        // 0 for no bound
	Since  time.Time    // of the last change; zero for no bound
	Until  time.Time    // exclusive; zero for no bound
	Limit  int          // 1 and more
	After  string       // cursor of an earlier page
}

// FindMost is how many entries a search reads on to; who wants more asks for
// less.
const FindMost = 10_000
