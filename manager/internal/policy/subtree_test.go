package policy_test

import (
	"errors"
	"testing"

	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

// An app password works on files and reaches nothing of the account.
func TestCheck_AppPassword(t *testing.T) {
	full := policy.Principal{Role: policy.AppPassword, User: owner}
	reading := full
	reading.ReadOnly = true
	admin := full
	admin.Administrator = true
	mine := entryFor(owner, cloud.KindFile, false, true)
	want := map[policy.Action]string{ // of full, reading, admin
		policy.SeeHealth: "yyy", policy.SeeStatus: "yyy", policy.SignIn: "yyy", policy.SetUp: "yyy",
		policy.UseDAV: "yyy", policy.Upload: "ydy", policy.OpenLink: "yyy", policy.Redeem: "yyy", policy.SeePreview: "yyy",
		policy.SeeEntry: "yyy", policy.ReadContent: "yyy", policy.ListFolder: "yyy",
		policy.AddTo: "ydy", policy.RenameEntry: "ydy", policy.MoveEntry: "ydy", policy.DeleteEntry: "ydy", policy.ReplaceFile: "ydy",
	}
	for _, do := range policy.Actions() {
		on := mine
		if !policy.NeedsEntry(do) {
			on = nil
		}
		var got string
		for _, who := range []policy.Principal{full, reading, admin} {
			got += string(letter(t, policy.Check(who, do, on)))
		}
		expect := want[do]
		if expect == "" {
			expect = "ddd"
		}
		if got != expect {
			t.Errorf("%s: %s, want %s", do, got, expect)
		}
	}
	if err := policy.Check(policy.Principal{Role: policy.User, User: owner}, policy.UseDAV, nil); !errors.Is(err, cloud.ErrDenied) {
		t.Errorf("WebDAV by a session: %v", err)
	}
	hidden := entryFor(other, cloud.KindFile, false, true)
	stranger := policy.Principal{Role: policy.AppPassword, User: other, ReadOnly: true}
	if err := policy.Check(stranger, policy.DeleteEntry, hidden); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("a hidden file shows in the refusal: %v", err)
	}
}

func TestCheck_Subtree(t *testing.T) {
	entry := func(id, parent cloud.EntryID, kind cloud.Kind) *cloud.Entry {
		return &cloud.Entry{ID: id, Parent: parent, Kind: kind, Owner: owner}
	}
	root := &cloud.Entry{ID: cloud.Root, Kind: cloud.KindFolder}
	var (
		above   = entry(1, cloud.Root, cloud.KindFolder)
		top     = entry(2, 1, cloud.KindFolder)
		folder  = entry(3, 2, cloud.KindFolder)
		file    = entry(4, 3, cloud.KindFile)
		beside  = entry(5, 1, cloud.KindFolder)
		outside = entry(6, 5, cloud.KindFile)
	)
	who := policy.Principal{Role: policy.AppPassword, User: owner, Within: policy.NewSubtree(top.ID)}
	if who.Top() != top.ID || who.Unbound().Top() != cloud.Root {
		t.Errorf("tops %d and %d", who.Top(), who.Unbound().Top())
	}
	for _, step := range []struct {
		do   policy.Action
		on   *cloud.Entry
		want byte
	}{
		{policy.SeeEntry, file, 'n'}, // not come down yet: nobody knows
		{policy.SeeEntry, root, 'n'}, {policy.SeeEntry, above, 'n'}, {policy.AddTo, above, 'n'},
		{policy.ListFolder, top, 'y'}, {policy.AddTo, top, 'y'},
		{policy.RenameEntry, top, 'd'}, {policy.MoveEntry, top, 'd'}, {policy.DeleteEntry, top, 'd'},
		{policy.SeeEntry, file, 'n'},
		{policy.ListFolder, folder, 'y'}, {policy.SeeEntry, file, 'y'}, {policy.ReplaceFile, file, 'y'}, {policy.DeleteEntry, folder, 'y'},
		{policy.SeeEntry, beside, 'n'}, {policy.ListFolder, beside, 'n'}, {policy.SeeEntry, outside, 'n'}, {policy.ReplaceFile, outside, 'n'},
	} {
		if got := letter(t, policy.Check(who, step.do, step.on)); got != step.want {
			t.Errorf("%s of %d: %c, want %c", step.do, step.on.ID, got, step.want)
		}
	}
	if err := policy.Check(who.Unbound(), policy.SeeEntry, outside); err != nil {
		t.Errorf("unbound: %v", err)
	}
}

// Who came by a link does what its mode says, below what it opens, with the rights
// of its maker.
func TestCheck_Links(t *testing.T) {
	var (
		top     = &cloud.Entry{ID: 2, Parent: 1, Kind: cloud.KindFolder, Owner: owner}
		file    = &cloud.Entry{ID: 4, Parent: 2, Kind: cloud.KindFile, Owner: owner}
		hidden  = &cloud.Entry{ID: 5, Parent: 2, Kind: cloud.KindFile, Owner: other} // from the maker too
		outside = &cloud.Entry{ID: 6, Parent: 1, Kind: cloud.KindFile, Owner: owner}
	)
	by := func(role policy.Role, ticket cloud.EntryID, noPreviews bool) policy.Principal {
		who := policy.Principal{Role: role, User: owner, Within: policy.NewSubtree(top.ID), Entry: ticket, NoPreviews: noPreviews}
		who.Within.Reach([]cloud.Entry{{ID: 1, Kind: cloud.KindFolder}, *top, *file})
		return who
	}
	who := []policy.Principal{
		by(policy.Visitor, 0, false), by(policy.Visitor, 0, true), by(policy.Visitor, 4, false), by(policy.Sender, 0, false),
	}
	want := map[policy.Action][4]string{ // of the visitors and the sender: top, file, hidden, outside
		policy.SeeEntry: {"yynn", "yynn", "nynn", "dddd"}, policy.ReadContent: {"yynn", "yynn", "nynn", "dddd"},
		policy.ListFolder: {"yynn", "yynn", "nynn", "dddd"}, policy.IssueTicket: {"yynn", "yynn", "nynn", "dddd"},
		policy.SeePreview: {"yynn", "ddnn", "nynn", "dddd"}, policy.SendFile: {"dddd", "dddd", "dddd", "yynn"},
	}
	for _, do := range policy.Actions() {
		for i, p := range who {
			if !policy.NeedsEntry(do) {
				open := do == policy.SeeLink || policy.Check(policy.Principal{}, do, nil) == nil
				if got := policy.Check(p, do, nil) == nil; got != open {
					t.Errorf("%s as %s: %t, want %t", do, p.Role, got, open)
				}
				continue
			}
			expect := want[do][i]
			if expect == "" {
				expect = "dddd"
			}
			var got []byte
			for _, e := range []*cloud.Entry{top, file, hidden, outside} {
				got = append(got, letter(t, policy.Check(p, do, e)))
			}
			if string(got) != expect {
				t.Errorf("%s as %s %d: %s, want %s", do, p.Role, i, got, expect)
			}
		}
	}
	if sent := who[3].ForSent(); sent.Role != policy.AppPassword || sent.Top() != top.ID || who[0].ForSent().Role != policy.Visitor {
		t.Errorf("what is sent is stored by %+v", sent)
	}
}
