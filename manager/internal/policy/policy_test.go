package policy_test

import (
	"errors"
	"testing"

	"discordcloud/manager/internal/policy"
	"discordcloud/pkg/cloud"
)

const (
	owner cloud.UserID = iota + 1
	writer
	reader
	other
)

// entryFor is an entry as read for a user: writer and reader have a share.
func entryFor(user cloud.UserID, kind cloud.Kind, public, owned bool) *cloud.Entry {
	e := &cloud.Entry{ID: 7, Kind: kind, Public: public}
	if owned {
		e.Owner = owner
	}
	if user == writer || user == reader {
		e.Share = &cloud.Share{Entry: 7, User: user, CanWrite: user == writer}
	}
	return e
}

func TestAccess(t *testing.T) {
	for _, c := range []struct {
		user          cloud.UserID
		public, owned bool
		status        policy.Status
		can           policy.Can
	}{
		{owner, false, true, policy.Owned, policy.ReadWrite},
		{owner, true, true, policy.Owned, policy.ReadWrite},
		{writer, false, true, policy.Shared, policy.ReadWrite},
		{writer, true, true, policy.Public, policy.ReadWrite},
		{reader, false, true, policy.Shared, policy.ReadOnly},
		{reader, true, true, policy.Public, policy.ReadOnly},
		{other, false, true, policy.Restricted, policy.Nothing},
		{other, true, true, policy.Public, policy.ReadOnly},
		{other, false, false, policy.Public, policy.ReadWrite},
		{0, false, true, policy.Restricted, policy.Nothing},
	} {
		status, can := policy.Access(c.user, *entryFor(c.user, cloud.KindFile, c.public, c.owned))
		if status != c.status || can != c.can {
			t.Errorf("user %d, public %t, owned %t: %s, %s, want %s, %s", c.user, c.public, c.owned, status, can, c.status, c.can)
		}
	}
	stranger := entryFor(writer, cloud.KindFile, false, true)
	if _, can := policy.Access(other, *stranger); can != policy.Nothing {
		t.Errorf("with the share of another user: %s", can)
	}
}

// A letter says how Check decides: y allowed, d denied, n not found, u not signed in.
func letter(t *testing.T, err error) byte {
	switch {
	case err == nil:
		return 'y'
	case errors.Is(err, cloud.ErrDenied):
		return 'd'
	case errors.Is(err, cloud.ErrNotFound):
		return 'n'
	case errors.Is(err, cloud.ErrUnauthenticated):
		return 'u'
	}
	t.Errorf("Check gives %v", err)
	return '?'
}

// TestCheck_Entries spells the table out for all actions about an entry.
func TestCheck_Entries(t *testing.T) {
	user := func(id cloud.UserID) policy.Principal { return policy.Principal{Role: policy.User, User: id} }
	ticket := func(id cloud.UserID, entry cloud.EntryID) policy.Principal {
		return policy.Principal{Role: policy.TicketHolder, User: id, Entry: entry}
	}
	admin := policy.Principal{Role: policy.User, User: other, Administrator: true}
	who := []policy.Principal{
		{}, user(owner), user(writer), user(reader), user(other), admin, // no more than any other
		ticket(owner, 7), ticket(owner, 8), ticket(other, 7),
		{Role: policy.LinkHolder, Entry: 7}, {Role: policy.LinkHolder, Entry: 8}, {Role: policy.UploadService}, {Role: policy.ThumbnailService},
	}
	type table struct{ private, public, ownerless, folder string }
	reads := table{"uyyynnynnynd" + "d", "uyyyyyynyynd" + "d", "uyyyyyynyynd" + "d", "uyyyyyynyynd" + "d"}
	//             nobody owner writer reader other admin, tickets, links, services
	usersRead := table{"uyyynn" + "ddddddd", "uyyyyy" + "ddddddd", "uyyyyy" + "ddddddd", "uyyyyy" + "ddddddd"}
	writes := table{"uyydnn" + "ddddddd", "uyyddd" + "ddddddd", "uyyyyy" + "ddddddd", "uyyddd" + "ddddddd"}
	arranges := table{writes.private, writes.public, writes.ownerless, "uyyyyy" + "ddddddd"}
	owns := table{"uyddnn" + "ddddddd", "uydddd" + "ddddddd", "uyyyyy" + "ddddddd", "uydddd" + "ddddddd"}
	want := map[policy.Action]table{
		policy.SeeEntry: reads, policy.ReadContent: reads, policy.ListFolder: reads,
		policy.IssueTicket: usersRead, policy.SignLink: usersRead, policy.AddTo: arranges,
		policy.StarEntry: usersRead, policy.CopyEntry: usersRead,
		policy.SeeStorage:  {owns.private, "uydddy" + "ddddddd", owns.ownerless, "uydddy" + "ddddddd"}, // of what administrators may read
		policy.DeleteEntry: writes, policy.ReplaceFile: writes,
		policy.RenameEntry: arranges, policy.MoveEntry: arranges,
		policy.SeeVersions: usersRead, policy.RestoreVersion: writes, policy.DeleteVersion: owns, policy.PurgeEntry: owns,
		policy.ReadVersion: {"uyyynnynndddd", "uyyyyyynydddd", "uyyyyyynydddd", "uyyyyyynydddd"}, // a link is to the content of one time
		policy.ShareEntry:  owns, policy.TransferFile: owns,
		policy.SeePreview: reads, policy.MakeLink: owns,
		policy.SendFile: {"u" + "dddddddddddd", "u" + "dddddddddddd", "u" + "dddddddddddd", "u" + "dddddddddddd"}, // see TestCheck_Links
		policy.ReadJob:  {"udddddddddddn", "udddddddddddn", "udddddddddddn", "udddddddddddn"},                     // without a job; see TestCheck_Job
	}
	for _, do := range policy.Actions() {
		if !policy.NeedsEntry(do) {
			continue
		}
		w, ok := want[do]
		if !ok {
			t.Errorf("%s: no row here", do)
			continue
		}
		for name, c := range map[string]struct {
			kind          cloud.Kind
			public, owned bool
			want          string
		}{
			"private file":   {cloud.KindFile, false, true, w.private},
			"public file":    {cloud.KindFile, true, true, w.public},
			"ownerless file": {cloud.KindFile, false, false, w.ownerless},
			"public folder":  {cloud.KindFolder, true, true, w.folder},
		} {
			got := make([]byte, len(who))
			for i, p := range who {
				got[i] = letter(t, policy.Check(p, do, entryFor(p.User, c.kind, c.public, c.owned)))
			}
			if string(got) != c.want {
				t.Errorf("%s, %s:\n got %s\nwant %s", do, name, got, c.want)
			}
		}
	}
}

// A thumbnail service reads the entry of its job, and does nothing else with it.
func TestCheck_Job(t *testing.T) {
	service := policy.Principal{Role: policy.ThumbnailService, Entry: 7}
	for _, do := range policy.Actions() {
		if !policy.NeedsEntry(do) {
			continue
		}
		want := byte('d')
		if do == policy.ReadJob {
			want = 'y'
		}
		if got := letter(t, policy.Check(service, do, entryFor(0, cloud.KindFile, false, true))); got != want {
			t.Errorf("%s of the job's entry: %c, want %c", do, got, want)
		}
	}
	if got := letter(t, policy.Check(service, policy.ReadJob, &cloud.Entry{ID: 8, Kind: cloud.KindFile, Public: true})); got != 'n' {
		t.Errorf("another entry: %c", got)
	}
}

func TestCheck_Root(t *testing.T) {
	root := &cloud.Entry{ID: cloud.Root, Kind: cloud.KindFolder}
	user := policy.Principal{Role: policy.User, User: other, Administrator: true}
	for _, do := range policy.Actions() {
		if !policy.NeedsEntry(do) {
			continue
		}
		want := byte('d')
		switch do {
		case policy.SeeEntry, policy.ReadContent, policy.ListFolder, policy.IssueTicket, policy.SignLink, policy.AddTo,
			policy.StarEntry, policy.CopyEntry, policy.SeeStorage, policy.SeeVersions, policy.ReadVersion, policy.SeePreview:
			want = 'y'
		}
		if got := letter(t, policy.Check(user, do, root)); got != want {
			t.Errorf("%s of the root: %c, want %c", do, got, want)
		}
	}
	if err := policy.Check(policy.Principal{Role: policy.TicketHolder, User: owner, Entry: 7}, policy.ReadContent, root); !errors.Is(err, cloud.ErrNotFound) {
		t.Errorf("the root with a ticket for something else: %v", err)
	}
}

// TestCheck_Others spells the table out for all actions about no entry.
func TestCheck_Others(t *testing.T) {
	who := []policy.Principal{
		{}, {Role: policy.User, User: other}, {Role: policy.User, User: other, Administrator: true}, {Role: policy.TicketHolder, User: owner, Administrator: true},
		{Role: policy.LinkHolder}, {Role: policy.UploadService, Administrator: true}, {Role: policy.ThumbnailService},
	}
	const everybody, users, admins, services = "yyyyyyy", "uyydddd", "udydddd", "uddddyy"
	want := map[policy.Action]string{
		policy.SeeHealth: everybody, policy.SeeStatus: everybody, policy.SignIn: everybody, policy.SetUp: everybody,
		policy.SeeSelf: users, policy.ChangePassword: users, policy.ManageSessions: users, policy.FindUsers: users, policy.FindEntries: users,
		policy.Connect: users, policy.SeeServices: users, policy.Upload: users,
		policy.Register: admins, policy.ManageGroups: admins, policy.SeeAudit: admins, policy.ManageQuotas: admins, policy.ManageUsers: admins, policy.SeeDebug: admins,
		policy.ManageTrash: users, policy.SeeSpace: users, policy.ManageJobs: admins,
		policy.Redeem: everybody, policy.ManageIdentities: users, policy.ManageMail: admins,
		policy.ManageServices: admins, policy.SeeSystem: admins,
		policy.OpenLink: everybody, policy.SeeLink: "udddddd", policy.ManageLinks: users,
		policy.Serve: services, policy.ManageAppPasswords: users, policy.ManageFactors: users, policy.UseDAV: "udddddd", // see TestCheck_AppPassword
	}
	for _, do := range policy.Actions() {
		if policy.NeedsEntry(do) {
			continue
		}
		got := make([]byte, len(who))
		for i, p := range who {
			got[i] = letter(t, policy.Check(p, do, nil))
		}
		if string(got) != want[do] {
			t.Errorf("%s: %s, want %s", do, got, want[do])
		}
	}
}

func TestCheck_Panics(t *testing.T) {
	for name, f := range map[string]func() error{
		"unknown action":   func() error { return policy.Check(policy.Principal{}, "make-coffee", nil) },
		"entry missing":    func() error { return policy.Check(policy.Principal{}, policy.SeeEntry, nil) },
		"entry not wanted": func() error { return policy.Check(policy.Principal{}, policy.SeeSelf, &cloud.Entry{}) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			_ = f() // it panics
		}()
	}
	if policy.Known("make-coffee") || !policy.Known(policy.SeeEntry) {
		t.Error("Known does not know")
	}
}
