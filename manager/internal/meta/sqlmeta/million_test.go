//go:build unix

package sqlmeta

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"discordcloud/manager/internal/meta"
	"discordcloud/pkg/cloud"
	"discordcloud/pkg/pgtest"
)

// million is a database of 1,000,000 files in 50,000 folders: one with 100,000,
// the others in folders of 250 folders. MILLION=5000 in the environment makes a
// smaller one.
type million struct {
	*Store
	o     Options
	files int
	big   cloud.EntryID // the folder of a tenth of the files
	top   cloud.EntryID // a folder of 250 folders
	user  cloud.UserID
}

func newMillion(b *testing.B, o Options) *million {
	b.Helper()
	m := &million{o: o, files: 1_000_000, big: 1, top: 2}
	if n := os.Getenv("MILLION"); n != "" {
		if _, err := fmt.Sscan(n, &m.files); err != nil {
			b.Fatal(err)
		}
	}
	var err error
	if m.Store, err = Open(b.Context(), o); err != nil {
		b.Fatal(err)
	}
	u, err := m.CreateUser(b.Context(), "ann", "", true, true)
	if err != nil {
		b.Fatal(err)
	}
	m.user = u.ID
	m.fillTree(b)
	return m
}

// table puts rows into a table, many together.
func (m *million) table(b *testing.B, name, kinds string, columns []string, rows func(yield func(row []any))) {
	b.Helper()
	t := &tableHead{Table: name, Columns: columns, Kinds: kinds}
	var batch [][]any
	flush := func() {
		if err := m.update(b.Context(), func(tx querier) error { return m.engine.insert(b.Context(), tx, t, batch) }); err != nil {
			b.Fatal(err)
		}
		batch = batch[:0]
	}
	rows(func(row []any) {
		if batch = append(batch, row); len(batch) == rowsTogether {
			flush()
		}
	})
	if len(batch) > 0 {
		flush()
	}
}

func objectOf(i int) []byte {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15) // scattered, as random ones are
	binary.BigEndian.PutUint64(id[8:], uint64(i)+1)
	return id[:]
}

func (m *million) fillTree(b *testing.B) {
	b.Helper()
	if _, ok := m.engine.(*sqliteEngine); ok { // in one go the index of names is made much sooner
		if _, err := m.write.Exec(`DROP TRIGGER entry_trigrams_insert; DROP TRIGGER entry_trigrams_update; DROP TRIGGER entry_trigrams_delete;
			DROP TABLE entry_trigrams`); err != nil {
			b.Fatal(err)
		}
	}
	folders := m.files / 20
	tops := max(1, folders/250)
	id := 0
	next := func() int64 { id++; return int64(id) }
	entry := func(yield func([]any), parent int64, name, kind string, object []byte, size int) int64 {
		n := next()
		var content any
		mime := ""
		if object != nil {
			content, mime = object, fmt.Sprintf("type/%d", id%7)
		}
		yield([]any{n, parent, name, name, kind, int64(m.user), true, content, int64(size), mime, int64(id * 7919 % 1_000_003), int64(id), int64(id)})
		return n
	}
	m.table(b, "objects", "xtnnnn", []string{"id", "state", "size", "created_at", "finished_at", "state_at"}, func(yield func([]any)) {
		for i := range m.files {
			yield([]any{objectOf(i), "stored", int64(i % 100_000), int64(0), int64(0), int64(0)})
		}
	})
	m.table(b, "entries", "nntttnbxntnnn", []string{"id", "parent_id", "name", "name_key", "kind", "owner_id", "public", "object_id", "size", "type",
		"updated_at", "created_at", "modified_at"}, func(yield func([]any)) {
		big := entry(yield, 0, "big", "folder", nil, 0)
		var lowest []int64
		for top := range tops {
			parent := entry(yield, 0, fmt.Sprintf("top %d", top), "folder", nil, 0)
			for i := range folders / tops {
				lowest = append(lowest, entry(yield, parent, fmt.Sprintf("folder %d", i), "folder", nil, 0))
			}
		}
		for i := range m.files {
			parent := big
			if i >= m.files/10 {
				parent = lowest[i%len(lowest)]
			}
			entry(yield, parent, fmt.Sprintf("%s %d of %d.jpg", []string{"holiday", "invoice", "letter", "scan"}[i%4], i, m.files), "file", objectOf(i), i%100_000)
		}
	})
	if err := m.update(b.Context(), func(tx querier) error {
		if err := recount(b.Context(), tx, foldersFrom, cloud.Root, meta.MaxDepth, true); err != nil {
			return err
		}
		return m.engine.setLastID(b.Context(), tx, "entries", int64(id))
	}); err != nil {
		b.Fatal(err)
	}
	if e, ok := m.engine.(*sqliteEngine); ok {
		if err := e.indexNames(b.Context()); err != nil {
			b.Fatal(err)
		}
		return
	}
	for _, tidy := range []string{`VACUUM ANALYZE`, `CHECKPOINT`} { // as a server does by itself in time
		if _, err := m.write.Exec(tidy); err != nil {
			b.Fatal(err)
		}
	}
}

// timed runs f often and reports what the half and all but a hundredth took.
func timed(b *testing.B, f func(i int) error) {
	b.Helper()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		if err := f(i); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
}

// BenchmarkMillion is about a store that has grown. It takes some minutes to make.
func BenchmarkMillion(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		m := newMillion(b, Options{Path: filepath.Join(b.TempDir(), "meta.db")})
		m.bench(b)
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		m := newMillion(b, Options{URL: pgtest.Start(b).Database("million")})
		m.bench(b)
	})
}

func (m *million) bench(b *testing.B) {
	ctx := b.Context()
	for _, by := range []meta.Sort{meta.SortName, meta.SortUpdated, meta.SortSize} {
		b.Run("page by "+string(by), func(b *testing.B) {
			q := meta.Query{Parent: m.big, Viewer: m.user, Sort: by, Limit: 100}
			timed(b, func(int) error {
				page, err := m.List(ctx, q)
				q.After = page.Next // through the folder, and again
				return err
			})
		})
	}
	for name, text := range map[string]string{"search": "ter %d", "search often": "oliday", "search late": "can "} {
		b.Run(name, func(b *testing.B) {
			timed(b, func(i int) error {
				find := meta.Find{Viewer: m.user, Text: text, Limit: 100}
				if strings.Contains(text, "%d") {
					find.Text = fmt.Sprintf(text, i+10)
				}
				_, err := m.Search(ctx, find)
				return err
			})
		})
	}
	for name, id := range map[string]cloud.EntryID{"of 100,000": m.big, "of 250 folders": m.top, "of all": cloud.Root} {
		b.Run("size "+name, func(b *testing.B) {
			timed(b, func(int) error {
				_, err := m.Sizes(ctx, id, m.user)
				return err
			})
		})
	}
	n := 0
	commit := func(n int) error {
		u := meta.Upload{
			ID: cloud.UploadID(fmt.Sprintf("u%d", n)), User: m.user, Folder: []string{"top 0", "folder 0"}, Name: fmt.Sprintf("new %d", n), Size: 5, PartSize: 5,
			Object: cloud.ObjectID(objectOf(m.files + n)),
		}
		chunk := meta.Stored{Chunk: cloud.Chunk{Size: 5, SealedSize: 165, Ref: cloud.Ref{Message: fmt.Sprint(n)}}}
		if err := m.CreateUpload(ctx, u); err != nil {
			return err
		}
		if err := m.AddPart(ctx, u.ID, 0, []meta.Stored{chunk}); err != nil {
			return err
		}
		_, err := m.FinishUpload(ctx, u.ID, meta.Finish{Conflict: meta.ConflictFail})
		return err
	}
	b.Run("upload of three commits", func(b *testing.B) {
		timed(b, func(int) error { n++; return commit(n) })
	})
	b.Run("uploads by 8", func(b *testing.B) {
		start, made := time.Now(), 0
		var mu sync.Mutex
		for b.Loop() {
			var all sync.WaitGroup
			for range 8 {
				n++
				number := n
				all.Go(func() {
					if err := commit(number); err != nil {
						b.Error(err)
					}
					mu.Lock()
					made++
					mu.Unlock()
				})
			}
			all.Wait()
		}
		b.ReportMetric(3*float64(made)/time.Since(start).Seconds(), "commits/s")
	})
	b.Run("start", func(b *testing.B) {
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
		timed(b, func(int) error {
			s, err := Open(context.WithoutCancel(ctx), m.o)
			if err == nil {
				m.Store = s
				err = s.Close()
			}
			return err
		})
		var mem runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&mem)
		b.ReportMetric(float64(mem.Sys)/(1<<20), "MiB-sys")
	})
}
