package vfs

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// A client of version 1 bears few characters, and drops a whole listing for one
// name that it cannot bear. It is shown a stand-in for such a name, and what it
// does with the stand-in is done to the entry.

// maxExtV1 is the longest extension that a stand-in keeps, in characters with
// the full stop.
const maxExtV1 = 16

// StandIn is the name under which a client of version 1 sees an entry: its own
// if the client bears it, else one made of what it bears and the entry's id:
// "日本.txt" of entry 46 is "__~1a.txt".
func StandIn(e cloud.Entry) string {
	if packet.ValidNameV1(e.Name) || e.ID == cloud.Root {
		return e.Name
	}
	stem, ext := e.Name, ""
	if i := strings.LastIndexByte(stem, '.'); i > 0 {
		if x := repairV1(stem[i:]); utf8.RuneCountInString(x) <= maxExtV1 && packet.ValidNameV1("x"+x) {
			stem, ext = stem[:i], x
		}
	}
	id := "~" + strconv.FormatInt(int64(e.ID), 36)
	stem = strings.TrimLeft(repairV1(stem), " ")
	room := packet.MaxNameV1 - len(id) - utf8.RuneCountInString(ext)
	if runes := []rune(stem); len(runes) > room {
		stem = string(runes[:room])
	}
	return stem + id + ext
}

// repairV1 puts "_" for each character that names of version 1 do not have.
func repairV1(s string) string {
	return strings.Map(func(r rune) rune {
		// The letter keeps the character from the ends, where more is refused.
		if packet.ValidNameV1("x" + string(r) + "x") {
			return r
		}
		return '_'
	}, s)
}

// standInID is the entry that a name stands for, if it can be a stand-in.
func standInID(name string) (cloud.EntryID, bool) {
	i := strings.LastIndexByte(name, '~')
	if i < 0 {
		return 0, false
	}
	digits, _, _ := strings.Cut(name[i+1:], ".")
	id, err := strconv.ParseInt(digits, 36, 64)
	return cloud.EntryID(id), err == nil && id > 0
}

// ChildV1 finds what a client of version 1 calls by that name in a folder: the
// entry of just this name, else the one that it stands for.
func (f *FS) ChildV1(ctx context.Context, who policy.Principal, parent cloud.EntryID, name string) (cloud.Entry, error) {
	if _, err := f.EntryFor(ctx, who, parent, policy.ListFolder); err != nil {
		return cloud.Entry{}, err
	}
	return f.childV1(ctx, who, parent, name)
}

func (f *FS) childV1(ctx context.Context, who policy.Principal, parent cloud.EntryID, name string) (cloud.Entry, error) {
	e, err := f.child(ctx, who, parent, name)
	if !errors.Is(err, cloud.ErrNotFound) {
		return e, err
	}
	id, ok := standInID(name)
	if !ok {
		return cloud.Entry{}, err
	}
	e, byID := f.Entry(ctx, who, id)
	switch {
	case byID == nil && e.Parent == parent && StandIn(e) == name:
		return e, nil
	case byID != nil && !errors.Is(byID, cloud.ErrNotFound):
		return cloud.Entry{}, byID
	}
	return cloud.Entry{}, err
}

// LookupV1 is Lookup for names that a client of version 1 gave.
func (f *FS) LookupV1(ctx context.Context, who policy.Principal, names []string) (cloud.Entry, error) {
	return f.lookup(ctx, who, names, f.childV1)
}

// NamesV1 gives the names under which a client of version 1 sees the entries of
// a path.
func NamesV1(path []cloud.Entry) []string {
	names := make([]string, len(path))
	for i, e := range path {
		names[i] = StandIn(e)
	}
	return names
}
