package metatest

import (
	"errors"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
)

var searches = []testcase{
	{"ByName", func(f *fixture) {
		ada, bob := f.user("ada"), f.user("bob")
		f.folders(ada, "Dokumente")
		f.private(ada, "Dokumente/Straße.txt", 10)
		f.private(ada, "Dokumente/100%_sure.txt", 20)
		f.private(bob, "Dokumente/das dokument.txt", 30)
		names := func(q meta.Find) []string {
			f.Helper()
			if q.Limit == 0 {
				q.Limit = 100
			}
			page, err := f.Search(f.ctx, q)
			if err != nil {
				f.Fatalf("search %q: %v", q.Text, err)
			}
			var names []string
			for _, e := range page.Entries {
				names = append(names, e.Name)
			}
			return names
		}
		same := func(what string, got []string, want ...string) {
			f.Helper()
			f.same(what, got, want)
		}
		all := meta.AnyViewer
		same("whatever the case, beginnings first", names(meta.Find{Viewer: all, Text: "DOKU"}), "Dokumente", "das dokument.txt")
		same("folded", names(meta.Find{Viewer: all, Text: "STRASSE"}), "Straße.txt")
		same("no pattern", names(meta.Find{Viewer: all, Text: "%"}), "100%_sure.txt")
		same("no pattern", names(meta.Find{Viewer: all, Text: "0_"}))
		same("nothing", names(meta.Find{Viewer: all, Text: "missing"}))
		same("by kind", names(meta.Find{Viewer: all, Text: "doku", Kind: cloud.KindFolder}), "Dokumente")
		same("by size", names(meta.Find{Viewer: all, Text: ".txt", Least: 15, Most: 20}), "100%_sure.txt")
		same("by owner", names(meta.Find{Viewer: all, Text: ".txt", Owner: bob}), "das dokument.txt")
		same("before it all", names(meta.Find{Viewer: all, Text: ".txt", Until: time.Unix(1, 0)}))
		same("private files of others", names(meta.Find{Viewer: bob, Text: ".txt"}), "das dokument.txt")
		same("by type", names(meta.Find{Viewer: all, Text: ".txt", Types: []string{"image/"}}))
		same("recent", names(meta.Find{Viewer: all, Recent: true, Kind: cloud.KindFile, Limit: 3}), "das dokument.txt", "100%_sure.txt", "Straße.txt")
		var paged []string
		for after := ""; ; {
			page, err := f.Search(f.ctx, meta.Find{Viewer: all, Text: ".txt", Limit: 1, After: after})
			if err != nil || len(page.Entries) != 1 {
				f.Fatalf("page after %q: %v, %v", after, page.Entries, err)
			}
			paged = append(paged, page.Entries[0].Name)
			if after = page.Next; after == "" {
				break
			}
		}
		same("page by page", paged, "100%_sure.txt", "das dokument.txt", "Straße.txt")
		for _, bad := range []meta.Find{{Text: "", Limit: 1}, {Text: "a"}, {Text: "a", Limit: 1, After: "x"}, {Text: "a", Limit: 1, After: "-1"}, {Text: "a", Limit: 1, Kind: "x"}} {
			if _, err := f.Search(f.ctx, bad); !errors.Is(err, cloud.ErrInvalid) {
				f.Errorf("search %+v: %v, want ErrInvalid", bad, err)
			}
		}
	}},
}
