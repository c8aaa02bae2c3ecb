package vfs

import (
	"context"
	"errors"
	"fmt"
	"slices"

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
	ways, err := f.ways(ctx, who, page.Entries)
	if err != nil {
		return nil, "", err
	}
	all := make([]Found, 0, len(page.Entries))
	for _, e := range page.Entries {
		all = append(all, Found{e, ways[e.Parent]})
	}
	return all, page.Next, nil
}

// ways are the paths of the folders of entries as who sees them, by folder: as
// Path gives them, without names where he does not see the folder. What is above
// them is asked for at once, and only what no share could show him one by one.
func (f *FS) ways(ctx context.Context, who policy.Principal, entries []cloud.Entry) (map[cloud.EntryID][]string, error) {
	var folders []cloud.EntryID
	for _, e := range entries {
		folders = append(folders, e.Parent)
	}
	slices.Sort(folders)
	folders = slices.Compact(folders)
	above, err := f.Store.Ancestry(ctx, folders)
	if err != nil {
		return nil, fmt.Errorf("ways: %w", err)
	}
	known := map[cloud.EntryID]bool{}
	sees := func(e cloud.Entry) (bool, error) {
		if _, can := policy.Access(who.User, e); can != policy.Nothing {
			return true, nil
		}
		yes, ok := known[e.ID]
		if !ok {
			_, err := f.Entry(ctx, who, e.ID)
			if err != nil && !errors.Is(err, cloud.ErrNotFound) {
				return false, err
			}
			yes = err == nil
			known[e.ID] = yes
		}
		return yes, nil
	}
	ways := make(map[cloud.EntryID][]string, len(folders))
	for _, id := range folders {
		var names []string
		for e, ok := above[id]; ok && len(names) <= len(above); e, ok = above[e.Parent] {
			visible, err := sees(e)
			if err != nil {
				return nil, err
			}
			if !visible {
				break
			}
			names = append(names, e.Name)
		}
		slices.Reverse(names)
		ways[id] = names
	}
	return ways, nil
}
