// Package policy decides who may do what. It is one table and one function;
// every door of the manager asks it: routes, packets, events and downloads. It
// knows no transport and no database.
package policy

import (
	"discordcloud/pkg/cloud"
)

// Role is what somebody has shown to be.
type Role string

// The roles.
const (
	Nobody           Role = ""
	User             Role = "user"
	UploadService    Role = "upload-service"
	ThumbnailService Role = "thumbnail-service"
	// TicketHolder may do what Principal.Ticket says, and nothing else.
	TicketHolder Role = "ticket"
	// LinkHolder has a signed link to one content.
	LinkHolder Role = "link"
	// AppPassword may work on files for a user, within its scope: it reaches
	// nothing of the account.
	AppPassword Role = "app-password"
	// Visitor has opened a share link: he reads what it opens, as its maker sees it.
	Visitor Role = "visitor"
	// Sender has opened a share link that takes files: he puts them there, and
	// sees nothing.
	Sender Role = "sender"
)

// Principal is who asks.
type Principal struct {
	Role          Role
	User          cloud.UserID // of users and of tickets: who they stand for
	Name          string
	Administrator bool
	Address       string        // where the request came from, for the audit log; "" if it is not known
	Session       string        // id of the session, "" if there is none
	Entry         cloud.EntryID // of tickets and signed links: the one entry they open
	ReadOnly      bool          // nothing may be changed
	NoPreviews    bool          // contents may be taken away, not looked at
	Within        *Subtree      // what it is confined to; nil is the whole tree
}

// Action is something that can be asked for.
type Action string

// The actions. Each route and each packet names one.
const (
	// without an entry
	SeeHealth      Action = "see-health"
	SeeStatus      Action = "see-status" // version, whether an administrator is missing
	SignIn         Action = "sign-in"
	SetUp          Action = "set-up" // make the first administrator
	Register       Action = "register"
	SeeSelf        Action = "see-self"
	ChangePassword Action = "change-password"
	ManageSessions Action = "manage-sessions"
	FindUsers      Action = "find-users"
	FindEntries    Action = "find-entries"
	ManageUsers    Action = "manage-users"
	ManageGroups   Action = "manage-groups"
	ManageQuotas   Action = "manage-quotas" // and see what others use
	SeeAudit       Action = "see-audit"     // who did what
	Connect        Action = "connect"       // a client's socket
	Serve          Action = "serve"         // a service's socket
	SeeServices    Action = "see-services"
	Upload         Action = "upload"
	SeeDebug       Action = "see-debug"
	ManageServices Action = "manage-services" // see all of them, drain and revoke
	SeeSystem      Action = "see-system"      // health and settings
	// ManageAppPasswords is to make, list and revoke the passwords of programs.
	ManageAppPasswords Action = "manage-app-passwords"
	// ManageFactors is to see and to change what one shows besides the password.
	ManageFactors Action = "manage-factors"
	UseDAV        Action = "use-dav"
	// Redeem is to use an invitation, or a link that works once: its text is the
	// permission.
	Redeem Action = "redeem"
	// ManageIdentities is to link an account with another provider of sign-ins.
	ManageIdentities Action = "manage-identities"
	ManageMail       Action = "manage-mail" // see how the mail goes
	// ManageTrash is to see one's own trash, and to bring back what is in it.
	ManageTrash Action = "manage-trash"
	ManageJobs  Action = "manage-jobs" // work in the background, and what it works on
	SeeSpace    Action = "see-space"   // what one's own files, trash and versions take
	OpenLink    Action = "open-link"
	SeeLink     Action = "see-link"     // what the link is that one came by
	ManageLinks Action = "manage-links" // list, change and revoke one's own
	// about an entry
	SeeEntry     Action = "see-entry" // that it exists, its name, size, dates
	ReadContent  Action = "read-content"
	ReadJob      Action = "read-job" // the content that a service has been given to work on
	IssueTicket  Action = "issue-ticket"
	SignLink     Action = "sign-link"
	ListFolder   Action = "list-folder"
	StarEntry    Action = "star-entry"  // mark it for oneself
	CopyEntry    Action = "copy-entry"  // into a folder, which AddTo decides about
	SeeStorage   Action = "see-storage" // where the content lies
	AddTo        Action = "add-to"      // create or receive an entry in a folder
	RenameEntry  Action = "rename-entry"
	MoveEntry    Action = "move-entry"
	DeleteEntry  Action = "delete-entry"
	ReplaceFile  Action = "replace-file"
	ShareEntry   Action = "share-entry"
	TransferFile Action = "transfer-file"
	// The versions of a file: its former contents.
	SeeVersions    Action = "see-versions"
	ReadVersion    Action = "read-version"
	RestoreVersion Action = "restore-version"
	DeleteVersion  Action = "delete-version"
	// PurgeEntry is to delete for good what is in the trash.
	PurgeEntry Action = "purge-entry"
	SeePreview Action = "see-preview"
	MakeLink   Action = "make-link" // that anybody may open
	SendFile   Action = "send-file" // put a new file into a folder, by a link
)

// need is what somebody must be able to do with the entry.
type need int

const (
	noEntry need = iota
	read
	add // to a folder: as write, but to public folders every user may add
	write
	arrange // rename or move: as write for files; folders that are public may be arranged by every user
	own
)

type rule struct {
	roles   []Role
	need    need
	admin   bool // administrators only
	lowered bool // administrators need only to read
	changes bool // something, though all that is needed is to read
	preview bool // it is to look at a content
}

// writes tells whether the action changes something of the tree.
func (r rule) writes() bool { return r.changes || r.need >= write }

var (
	anybody  = []Role{Nobody, User, UploadService, ThumbnailService, TicketHolder, LinkHolder, AppPassword, Visitor, Sender}
	users    = []Role{User}
	workers  = []Role{User, AppPassword}
	readers  = []Role{User, AppPassword, TicketHolder, LinkHolder, Visitor}
	services = []Role{UploadService, ThumbnailService}
)

var rules = map[Action]rule{
	SeeHealth:      {roles: anybody},
	SeeStatus:      {roles: anybody},
	SignIn:         {roles: anybody},
	SetUp:          {roles: anybody},
	Register:       {roles: users, admin: true},
	SeeSelf:        {roles: users},
	ChangePassword: {roles: users},
	ManageSessions: {roles: users},
	FindUsers:      {roles: users},
	FindEntries:    {roles: users},
	ManageUsers:    {roles: users, admin: true},
	ManageGroups:   {roles: users, admin: true},
	ManageQuotas:   {roles: users, admin: true},
	SeeAudit:       {roles: users, admin: true},
	Connect:        {roles: users},
	Serve:          {roles: services},
	SeeServices:    {roles: users},
	Upload:         {roles: workers, changes: true},
	SeeDebug:       {roles: users, admin: true},
	ManageServices: {roles: users, admin: true},
	SeeSystem:      {roles: users, admin: true},

	ManageAppPasswords: {roles: users},
	ManageFactors:      {roles: users},
	Redeem:             {roles: anybody},
	ManageIdentities:   {roles: users},
	ManageMail:         {roles: users, admin: true},
	UseDAV:             {roles: []Role{AppPassword}},
	ManageTrash:        {roles: users},
	SeeSpace:           {roles: users},
	ManageJobs:         {roles: users, admin: true},
	OpenLink:           {roles: anybody},
	SeeLink:            {roles: []Role{Visitor, Sender}},
	ManageLinks:        {roles: users},

	SeeEntry:     {roles: readers, need: read},
	ReadContent:  {roles: readers, need: read},
	ReadJob:      {roles: []Role{ThumbnailService}, need: read},
	IssueTicket:  {roles: []Role{User, Visitor}, need: read},
	SignLink:     {roles: users, need: read},
	ListFolder:   {roles: readers, need: read},
	StarEntry:    {roles: users, need: read},
	CopyEntry:    {roles: users, need: read},
	SeeStorage:   {roles: users, need: own, lowered: true},
	AddTo:        {roles: workers, need: add, changes: true},
	RenameEntry:  {roles: workers, need: arrange},
	MoveEntry:    {roles: workers, need: arrange},
	DeleteEntry:  {roles: workers, need: write},
	ReplaceFile:  {roles: workers, need: write},
	ShareEntry:   {roles: users, need: own},
	TransferFile: {roles: users, need: own},

	SeeVersions:    {roles: users, need: read},
	ReadVersion:    {roles: []Role{User, TicketHolder}, need: read},
	RestoreVersion: {roles: users, need: write},
	DeleteVersion:  {roles: users, need: own},
	PurgeEntry:     {roles: users, need: own},
	SeePreview:     {roles: readers, need: read, preview: true},
	MakeLink:       {roles: users, need: own},
	SendFile:       {roles: []Role{Sender}, need: add, changes: true},
}

// Known tells whether the table has a rule for the action. Routers refuse to
// register a route without one.
func Known(a Action) bool { _, ok := rules[a]; return ok }

// Actions lists all actions of the table, in no order.
func Actions() []Action {
	all := make([]Action, 0, len(rules))
	for a := range rules {
		all = append(all, a)
	}
	return all
}

// Takes tells whether anybody of the role may ask for the action at all.
func Takes(a Action, r Role) bool { return has(rules[a].roles, r) }

// NeedsEntry tells whether the action is about an entry.
func NeedsEntry(a Action) bool { return rules[a].need != noEntry }

// Status is how a user stands to an entry.
type Status string

// The states of an entry for a user; the first that fits counts, in this order:
// entries without owner are public.
const (
	Owned      Status = "owned"
	Public     Status = "public"
	Shared     Status = "shared"
	Restricted Status = "restricted"
)

// Can is what a user can do with the content of an entry.
type Can string

// What a user can do.
const (
	ReadWrite Can = "rw"
	ReadOnly  Can = "r"
	Nothing   Can = "none"
)

// Access tells how a user stands to an entry. e.Share must be what shares give
// the user, of the entry and of the folders above it.
func Access(user cloud.UserID, e cloud.Entry) (Status, Can) {
	shared := e.Share != nil && e.Share.User == user
	switch {
	case e.Owner == 0:
		return Public, ReadWrite
	case e.Owner == user:
		return Owned, ReadWrite
	case shared && e.Share.CanWrite:
		if e.Public {
			return Public, ReadWrite
		}
		return Shared, ReadWrite
	case e.Public:
		return Public, ReadOnly
	case shared:
		return Shared, ReadOnly
	}
	return Restricted, Nothing
}

// Check decides. on is the entry that the action is about, nil for an action
// without one. The error is ErrUnauthenticated for somebody who has shown
// nothing, ErrNotFound where the entry's existence is not theirs to know,
// otherwise ErrDenied.
func Check(who Principal, do Action, on *cloud.Entry) error {
	r, ok := rules[do]
	if !ok {
		panic("policy: no rule for " + string(do))
	}
	if (r.need != noEntry) != (on != nil) {
		panic("policy: entry given or missing for " + string(do))
	}
	if !has(r.roles, who.Role) {
		if who.Role == Nobody {
			return cloud.ErrUnauthenticated
		}
		return cloud.ErrDenied
	}
	if r.admin && !who.Administrator {
		return cloud.ErrDenied
	}
	if r.need != noEntry && who.Within != nil {
		if !who.Within.holds(*on) {
			return cloud.ErrNotFound
		}
		if on.ID == who.Within.top && r.need >= write {
			return cloud.UserErrorf(cloud.ErrDenied, "the folder that the password is for stays as it is")
		}
	}
	if r.need != noEntry {
		needed := r.need
		if r.lowered && who.Administrator {
			needed = read
		}
		if err := checkEntry(who, needed, *on); err != nil {
			return err
		}
	}
	if who.NoPreviews && r.preview {
		return cloud.UserErrorf(cloud.ErrDenied, "this link is for downloads only")
	}
	if who.ReadOnly && r.writes() {
		return cloud.UserErrorf(cloud.ErrDenied, "this password is for reading only")
	}
	return nil
}

func checkEntry(who Principal, n need, e cloud.Entry) error {
	if who.Role == LinkHolder || who.Role == ThumbnailService {
		// The link or the job itself is the permission; it opens one entry, to read.
		if n == read && e.ID == who.Entry {
			return nil
		}
		return cloud.ErrNotFound
	}
	if who.Role == TicketHolder && (e.ID != who.Entry || n != read) {
		// A ticket stands for its user, for one entry, to read.
		return cloud.ErrNotFound
	}
	if who.Role == Visitor && who.Entry != cloud.Root && e.ID != who.Entry {
		return cloud.ErrNotFound // he has a ticket for another
	}
	if e.ID == cloud.Root {
		// Everybody who is signed in sees the top and adds to it; nobody moves it.
		if n == read || n == add {
			return nil
		}
		return cloud.UserErrorf(cloud.ErrDenied, "the top folder stays as it is")
	}
	status, can := Access(who.User, e)
	switch {
	case can == Nothing:
		return cloud.ErrNotFound
	case n == read:
		return nil
	case n == own:
		if status == Owned || e.Owner == 0 {
			return nil
		}
	case can == ReadWrite:
		return nil
	case (n == arrange || n == add) && e.IsFolder() && e.Public:
		return nil
	}
	return cloud.ErrDenied
}

func has(roles []Role, r Role) bool {
	for _, x := range roles {
		if x == r {
			return true
		}
	}
	return false
}
