package vfs

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Found is an entry that a search found, with the names of its folder as Path
// gives them to who searches: not from the top where that is hidden from him.
type Found struct {
	cloud.Entry
	Folder []string
}

// Search finds entries in the whole tree, as far as who sees it: what lies in a
// folder that is hidden from him is left out, unless it is shared with him.
func (f *FS) Search(ctx context.Context, who policy.Principal, find meta.Find) ([]Found, string, error) {
	if err := policy.Check(who, policy.FindEntries, nil); err != nil {
		return nil, "", err
	}
	find.Viewer = who.User
	page, err := f.Store.Search(ctx, find)
	if err != nil {
		return nil, "", fmt.Errorf("search: %w", err)
	}
	folders := map[cloud.EntryID][]string{} // of the page: many lie in one
	all := make([]Found, 0, len(page.Entries))
	for _, e := range page.Entries {
		names, known := folders[e.Parent]
		if !known {
			if names, err = f.way(ctx, who, e.Parent); err != nil {
				return nil, "", err
			}
			folders[e.Parent] = names
		}
		all = append(all, Found{e, names})
	}
	return all, page.Next, nil
}

// way is the path of a folder as who sees it, without names if he does not.
func (f *FS) way(ctx context.Context, who policy.Principal, id cloud.EntryID) ([]string, error) {
	path, err := f.Path(ctx, who, id)
	if err != nil && !errors.Is(err, cloud.ErrNotFound) {
		return nil, err
	}
	names := make([]string, len(path))
	for i, e := range path {
		names[i] = e.Name
	}
	return names, nil
}
