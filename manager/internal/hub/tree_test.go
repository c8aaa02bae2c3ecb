package hub_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"discordcloud/manager/internal/policy"
	"discordcloud/manager/internal/vfs"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/packet"
)

// folders makes folders by their paths, as the user.
func (w *world) folders(u user, paths ...string) cloud.Entry {
	w.t.Helper()
	var last cloud.Entry
	for _, path := range paths {
		names, err := vfs.ParsePath(path)
		if err != nil {
			w.t.Fatal(err)
		}
		if last, _, err = w.fs.MakeFolders(w.t.Context(), u.Principal, cloud.Root, names); err != nil {
			w.t.Fatal(err)
		}
	}
	return last
}

// files makes empty files by their names, in a folder.
func (w *world) files(c *wire, path string, public bool, names ...string) {
	w.t.Helper()
	for _, name := range names {
		begin(c, packet.UploadRequest{Name: name, Path: path, Size: 0, IsPublic: public, Conflict: packet.ConflictFail})
		expect[packet.UploadStageFinish](c)
		if p := expect[packet.UploadFinishInfo](c); !p.Success {
			w.t.Fatalf("%s: %s", name, p.Reason)
		}
	}
}

func yes(c *wire, p packet.Packet) {
	c.t.Helper()
	if b := ask[packet.Boolean](c, p); !b.Success {
		c.t.Errorf("%s %+v: %s", p.PacketID(), p, b.Message)
	}
}

func no(c *wire, p packet.Packet) {
	c.t.Helper()
	if b := ask[packet.Boolean](c, p); b.Success || b.Message == "" {
		c.t.Errorf("%s %+v: got %+v", p.PacketID(), p, b)
	}
}

func (w *world) names(u user, path string) []string {
	w.t.Helper()
	names, err := vfs.ParsePath(path)
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := w.fs.Lookup(w.t.Context(), u.Principal, names)
	if err != nil {
		w.t.Fatal(err)
	}
	var all []string
	if err := w.fs.Walk(w.t.Context(), u.Principal, e.ID, func(names []string, _ *vfs.Content) error {
		all = append(all, strings.Join(names, "/"))
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func (w *world) checkNames(u user, path string, want ...string) {
	w.t.Helper()
	if got := w.names(u, path); !slices.Equal(got, want) {
		w.t.Errorf("below %s: %q, want %q", path, got, want)
	}
}

// An empty database, and the flow of a listing.
func TestListing(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	c := w.v1(u)
	ascending, descending := true, false

	if p := ask[packet.FolderSize](c, packet.FolderSizeRequest{}); p.FolderID != nil || p.TotalSize != 0 || len(p.Types) != 0 {
		t.Errorf("got %+v", p)
	}
	if p := ask[packet.FolderStatus](c, packet.FolderStatusRequest{Path: "/"}); p != (packet.FolderStatus{Path: "/", Exists: true, PageSize: 100}) {
		t.Errorf("got %+v", p)
	}
	for i := range 103 {
		w.folders(u, fmt.Sprintf("/many/d%03d", i))
	}
	many := w.folders(u, "/many")
	f := w.v2(u)
	for i := range 5 {
		w.files(f, "/many", true, fmt.Sprintf("f%03d", i))
	}
	id := int64(many.ID)
	status := ask[packet.FolderStatus](c, packet.FolderStatusRequest{Path: "/many/"})
	if status.FolderID == nil || *status.FolderID != id || status.Path != "/many/" || status.FileCount != 5 || status.SubfolderCount != 103 || status.PageSize != 100 {
		t.Errorf("got %+v", status)
	}
	var names []string
	for page, n := range []int{100, 3, 0} {
		p := ask[packet.ListFolders](c, packet.ListRequest{Path: "/many", Type: packet.TypeSubfolders, Page: int64(page), SortBy: packet.SortByName, AscendingSort: &ascending})
		if len(p.Folders) != n || !p.Success || p.Page != int64(page) || p.Path != "/many" {
			t.Errorf("page %d: %d folders, %+v", page, len(p.Folders), p)
		}
		for _, h := range p.Folders {
			names = append(names, h.Name)
			if *h.ParentFolder != id {
				t.Errorf("got %+v", h)
			}
		}
	}
	if len(names) != 103 || !slices.IsSorted(names) {
		t.Errorf("folders are %q", names)
	}
	names = nil
	for page := range 2 {
		p := ask[packet.ListFiles](c, packet.ListRequest{Path: "/many", Type: packet.TypeFiles, Page: int64(page), SortBy: packet.SortByName, AscendingSort: &descending})
		for _, h := range p.Files {
			names = append(names, h.Name)
			if h.Ownership != (packet.Ownership{Status: "owned", Can: "rw"}) || h.CreatedAt == nil {
				t.Errorf("got %+v", h)
			}
		}
	}
	if slices.Reverse(names); len(names) != 5 || !slices.IsSorted(names) {
		t.Errorf("files are %q", names)
	}

	// What is not there is answered as well.
	for _, path := range []string{"/none", "/many/f000"} {
		if p := ask[packet.FolderStatus](c, packet.FolderStatusRequest{Path: path}); p.Exists || p.FolderID != nil || p.PageSize != 100 {
			t.Errorf("got %+v", p)
		}
		if p := ask[packet.ListFiles](c, packet.ListRequest{Path: path, Type: packet.TypeFiles}); p.Success || len(p.Files) != 0 {
			t.Errorf("got %+v", p)
		}
		if p := ask[packet.ListFolders](c, packet.ListRequest{Path: path, Type: packet.TypeSubfolders}); p.Success || len(p.Folders) != 0 {
			t.Errorf("got %+v", p)
		}
	}
	missing := int64(1 << 40)
	if p := ask[packet.FolderSize](c, packet.FolderSizeRequest{FolderID: &missing}); *p.FolderID != missing || p.TotalSize != 0 {
		t.Errorf("got %+v", p)
	}
	if p := ask[packet.ListFiles](c, packet.ListRequest{Path: "/many", Type: packet.TypeFiles, Page: 1<<53 - 1}); !p.Success || len(p.Files) != 0 {
		t.Errorf("far behind the end: %+v", p)
	}
}

// Sorting by size, and sums.
func TestListing_Sizes(t *testing.T) {
	w := newWorld(t)
	w.service(1)
	u := w.user("ada")
	c := w.v1(u)
	for i, n := range []int{30, 10, 20} {
		w.put(c, "/s/t", fmt.Sprint(i), pattern(n, 0))
	}
	p := ask[packet.ListFiles](c, packet.ListRequest{Path: "/s/t", Type: packet.TypeFiles, SortBy: packet.SortBySize})
	if len(p.Files) != 3 || p.Files[0].Size != 10 || p.Files[2].Size != 30 {
		t.Errorf("got %+v", p)
	}
	size := ask[packet.FolderSize](c, packet.FolderSizeRequest{})
	if size.TotalSize != 60 || len(size.Types) != 1 || size.Types["application/octet-stream"] != 60 {
		t.Errorf("got %+v", size)
	}
}

func TestTree_V1(t *testing.T) {
	w := newWorld(t)
	u := w.user("ada")
	c := w.v1(u)
	yes(c, packet.CreateFolder{Path: "/a/b"})
	yes(c, packet.CreateFolder{Path: "/a/b"})
	no(c, packet.CreateFolder{Path: "/"})
	for _, name := range []string{"x.txt", "y.txt", "z.txt"} {
		yes(c, packet.EmptyFileUpload{Path: "/a", Name: name})
	}
	yes(c, packet.EmptyFileUpload{Path: "/a/b", Name: "x.txt"})
	no(c, packet.CreateFolder{Path: "/a/x.txt"})
	no(c, packet.EmptyFileUpload{Path: "/a/x.txt", Name: "x"})

	// Each rename is answered, and takes a free name.
	yes(c, packet.RenameFile{Path: "/a", Name: "y.txt", TargetName: "x.txt"})
	yes(c, packet.RenameFile{Path: "/a", Name: "x.txt", TargetName: "x.txt"})
	no(c, packet.RenameFile{Path: "/a", Name: "none", TargetName: "x"})
	no(c, packet.RenameFile{Path: "/a", Name: "b", TargetName: "x"})
	yes(c, packet.RenameFolder{Path: "/a/b", TargetName: "c"})
	no(c, packet.RenameFolder{Path: "/", TargetName: "c"})
	no(c, packet.RenameFolder{Path: "/a/b", TargetName: "d"})
	no(c, packet.RenameFolder{Path: "/a/x.txt", TargetName: "d"})
	w.checkNames(u, "/a", "c", "c/x.txt", "x (1).txt", "x.txt", "z.txt")

	// Files move to a free name; what cannot be moved stays.
	a, sub := w.folders(u, "/a"), w.folders(u, "/a/c")
	source, target := int64(a.ID), int64(sub.ID)
	c.send(fmt.Sprintf(`{"id":"c2s:move-files","data":{"source_id":%d,"target_id":%d,"files":["x.txt","none",7,"a@b","z.txt","c"]},"uuid":"d23dd02c-d522-4228-a6c5-edeb7365ca1f"}`, source, target))
	if b := c.reply("d23dd02c-d522-4228-a6c5-edeb7365ca1f").(packet.Boolean); !b.Success {
		t.Errorf("got %+v", b)
	}
	w.checkNames(u, "/a", "c", "c/x (1).txt", "c/x.txt", "c/z.txt", "x (1).txt")
	yes(c, packet.MoveFiles{SourceID: &target, Files: []string{"z.txt"}}) // to the root
	yes(c, packet.MoveFiles{SourceID: &target, TargetID: &target, Files: []string{"x.txt"}})
	missing := int64(1 << 40)
	yes(c, packet.MoveFiles{SourceID: &target, TargetID: &missing, Files: []string{"x.txt"}})
	w.checkNames(u, "/", "a", "a/c", "a/c/x (1).txt", "a/c/x.txt", "a/x (1).txt", "z.txt")

	yes(c, packet.DeleteFile{FolderID: &target, Name: "x.txt"})
	no(c, packet.DeleteFile{FolderID: &target, Name: "x.txt"})
	no(c, packet.DeleteFile{FolderID: &source, Name: "c"})
	no(c, packet.DeleteFolder{FolderID: missing})
	no(c, packet.DeleteFolder{FolderID: 0})
	yes(c, packet.DeleteFolder{FolderID: source})
	w.checkNames(u, "/", "z.txt")
	d := w.v2(u)
	yes(d, packet.DeleteFile{Name: "z.txt"}) // in the root
	w.checkNames(u, "/")
}

// Private files are not there for others, by any packet.
func TestTree_Permissions(t *testing.T) {
	w := newWorld(t)
	ada, bob := w.user("ada"), w.user("bob")
	a, b := w.v2(ada), w.v1(bob)
	folder := w.folders(ada, "/f")
	id := int64(folder.ID)
	w.files(a, "/f", false, "secret", "shown")
	w.files(a, "/f", true, "open")
	entry := func(name string) cloud.Entry {
		e, err := w.fs.Lookup(t.Context(), ada.Principal, []string{"f", name})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	secret, open := entry("secret"), entry("open")
	yes(a, packet.FileShare{Path: "/f", Name: "shown", TargetUser: int64(bob.ID)})

	list := func() map[string]packet.Ownership {
		got := map[string]packet.Ownership{}
		for _, f := range ask[packet.ListFiles](b, packet.ListRequest{Path: "/f", Type: packet.TypeFiles}).Files {
			got[f.Name] = f.Ownership
		}
		return got
	}
	got := list()
	if len(got) != 2 || got["open"] != (packet.Ownership{Status: "public", Can: "r"}) ||
		got["shown"].Status != "shared" || got["shown"].Can != "r" || got["shown"].Share == nil || got["shown"].Share.User != int64(bob.ID) {
		t.Errorf("bob sees %+v", got)
	}
	if p := ask[packet.FolderStatus](b, packet.FolderStatusRequest{Path: "/f"}); p.FileCount != 2 {
		t.Errorf("bob counts %d", p.FileCount)
	}
	for _, name := range []string{"secret", "none"} { // the same answers
		no(b, packet.DeleteFile{FolderID: &id, Name: name})
		no(b, packet.RenameFile{Path: "/f", Name: name, TargetName: "mine"})
		no(b, packet.FileShare{Path: "/f", Name: name, TargetUser: int64(bob.ID)})
	}
	for _, id := range []cloud.EntryID{secret.ID, 1 << 40} {
		no(b, packet.ThumbnailRequest{ID: int64(id)})
		no(b, packet.TransferOwnership{FileID: int64(id), TargetUserID: int64(bob.ID)})
		if p := ask[packet.SignedDownload](b, packet.SignedDownloadRequest{FileID: int64(id)}); p.Payload != "" {
			t.Error("bob got a link")
		}
	}
	for _, name := range []string{"open", "shown"} { // to be seen, not to be changed
		no(b, packet.DeleteFile{FolderID: &id, Name: name})
		no(b, packet.RenameFile{Path: "/f", Name: name, TargetName: "mine"})
		no(b, packet.FileShare{Path: "/f", Name: name, TargetUser: int64(bob.ID)})
	}
	no(b, packet.DeleteFolder{FolderID: id})
	no(b, packet.TransferOwnership{FileID: int64(open.ID), TargetUserID: int64(bob.ID)})
	yes(b, packet.RenameFolder{Path: "/f", TargetName: "g"}) // anyone may, of a public folder
	yes(b, packet.RenameFolder{Path: "/g", TargetName: "f"})

	link := ask[packet.SignedDownload](b, packet.SignedDownloadRequest{FileID: int64(open.ID)})
	if e, who, err := w.fs.OpenLink(t.Context(), string(link.Payload)); err != nil || e.ID != open.ID || who.Role != policy.LinkHolder {
		t.Errorf("the link opens %v, %v", e.ID, err)
	}

	// Shares: given, changed, taken; an existing one stays as it is.
	write := true
	yes(a, packet.FileShare{Path: "/f", Name: "shown", TargetUser: int64(bob.ID), CanWrite: &write})
	yes(a, packet.FileShare{Path: "/f", Name: "shown", TargetUser: int64(bob.ID)})
	if got := list()["shown"]; got.Can != "rw" {
		t.Errorf("got %+v", got)
	}
	yes(b, packet.RenameFile{Path: "/f", Name: "shown", TargetName: "renamed"})
	yes(a, packet.FileShare{Path: "/f", Name: "renamed", TargetUser: int64(bob.ID), IsDeleting: true})
	if e := a.reply(a.tell(packet.FileShare{Path: "/f", Name: "renamed", TargetUser: int64(bob.ID), IsDeleting: true})).(packet.Error); e.Code != "not_found" {
		t.Errorf("got %+v", e)
	}
	if got := list(); len(got) != 1 {
		t.Errorf("bob still sees %+v", got)
	}

	// Another owner; the one before keeps a share.
	yes(a, packet.TransferOwnership{FileID: int64(secret.ID), TargetUserID: int64(bob.ID), CreateShareForCurrentOwner: true})
	if got := list()["secret"]; got.Status != "owned" {
		t.Errorf("got %+v", got)
	}
	if e := a.reply(a.tell(packet.TransferOwnership{FileID: int64(secret.ID), TargetUserID: int64(ada.ID)})).(packet.Error); e.Code != "denied" {
		t.Errorf("got %+v", e)
	}
	if p := ask[packet.UserSearch](b, packet.UserSearchRequest{Query: "ad"}); !p.Success || len(p.Results) != 1 || p.Results[0] != (packet.UserResult{ID: int64(ada.ID), Name: "ada"}) {
		t.Errorf("got %+v", p)
	}
}

// A client of version 1 sees stand-ins for names that it does not bear, and what
// it does with them works.
func TestTree_StandIns(t *testing.T) {
	w := newWorld(t)
	w.service(1)
	u := w.user("ada")
	c, d := w.v1(u), w.v2(u)
	w.files(d, "/日本/深い", true, "東京.txt", "plain.txt")
	w.folders(u, "/日本/"+strings.Repeat("長", 60))

	list := func(path string) (folders, files []string) {
		for _, h := range ask[packet.ListFolders](c, packet.ListRequest{Path: path, Type: packet.TypeSubfolders}).Folders {
			folders = append(folders, h.Name)
		}
		for _, h := range ask[packet.ListFiles](c, packet.ListRequest{Path: path, Type: packet.TypeFiles}).Files {
			files = append(files, h.Name)
		}
		return folders, files
	}
	top, _ := list("/")
	if len(top) != 1 {
		t.Fatalf("top is %q", top)
	}
	below, _ := list("/" + top[0])
	if len(below) != 2 {
		t.Fatalf("below is %q", below)
	}
	deep := "/" + top[0] + "/" + below[0]
	_, files := list(deep)
	if len(files) != 2 {
		deep = "/" + top[0] + "/" + below[1]
		_, files = list(deep)
	}
	slices.Sort(files)
	if len(files) != 2 || !strings.HasPrefix(files[0], "__~") || files[1] != "plain.txt" {
		t.Fatalf("files are %q", files)
	}
	tokyo := files[0]

	// An upload into such a folder, over such a name, asks in its own words.
	data := pattern(10, 1)
	r := w.clash(c, deep, tokyo, data)
	answer(c, r.UploadID, "overwrite", false)
	if p := expect[packet.UploadFinishInfo](c); !p.Success || p.RenameTarget != "" {
		t.Errorf("got %+v", p)
	}
	w.checkContent(u, "/日本/深い/東京.txt", data)
	r = w.clash(c, deep, tokyo, data)
	answer(c, r.UploadID, "rename", false)
	if p := expect[packet.UploadFinishInfo](c); !packet.ValidNameV1(p.RenameTarget) {
		t.Errorf("got %+v", p)
	}
	yes(c, packet.CreateFolder{Path: deep + "/new"})
	yes(c, packet.RenameFile{Path: deep, Name: "plain.txt", TargetName: "simple.txt"})
	yes(c, packet.RenameFile{Path: deep, Name: tokyo, TargetName: tokyo}) // nothing
	w.checkNames(u, "/日本/深い", "new", "simple.txt", "東京 (1).txt", "東京.txt")
	yes(c, packet.RenameFile{Path: deep, Name: tokyo, TargetName: "Tokyo"})
	yes(c, packet.RenameFolder{Path: deep, TargetName: "deep"})
	w.checkNames(u, "/日本/deep", "Tokyo", "new", "simple.txt", "東京 (1).txt")
}
