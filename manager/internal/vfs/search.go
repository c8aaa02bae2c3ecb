package vfs

import (
	"context"
	"errors"
	"fmt"

	"discordcloud/manager/internal/meta"
	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// Found is an entry that a search found, with the names of its folder.
type Found struct {
	cloud.Entry
	Folder []string
}

// Search finds entries in the whole tree, as far as who sees it: also what lies
// in a folder that is hidden from him is left out. A page may hold fewer than
// asked for although there is a next one.
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
		if err := policy.Check(who, policy.SeeEntry, &e); err != nil {
			continue
		}
		names, known := folders[e.Parent]
		if !known {
			if names, err = f.openWay(ctx, who, e.Parent); err != nil {
				return nil, "", err
			}
			folders[e.Parent] = names
		}
		if names != nil {
			all = append(all, Found{e, names})
		}
	}
	return all, page.Next, nil
}

// openWay is the path of a folder, nil if who does not see all of it.
func (f *FS) openWay(ctx context.Context, who policy.Principal, id cloud.EntryID) ([]string, error) {
	if id == cloud.Root {
		return []string{}, nil
	}
	path, err := f.Path(ctx, who, id)
	if errors.Is(err, cloud.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if path[0].Parent != cloud.Root {
		return nil, nil
	}
	names := make([]string, len(path))
	for i, e := range path {
		names[i] = e.Name
	}
	return names, nil
}
