package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// never names, for a tree, what its code must not import; test files are free.
// A name without a dot in its first element is either a tree of this module or
// a package of the standard library.
var never = map[string][]string{
	"pkg":                       {"manager", "services", "web"},
	"pkg/cloud":                 {"pkg"},
	"pkg/crypt":                 {"net", "os", "log/slog", "pkg/blob", "pkg/packet"},
	"pkg/chunk":                 {"net", "os", "log/slog", "pkg/blob", "pkg/packet", "pkg/crypt"},
	"pkg/packet":                {"pkg/blob", "pkg/discord", "pkg/crypt"},
	"pkg/client":                {"pkg/blob", "pkg/discord", "pkg/crypt", "pkg/object", "pkg/sandbox", "pkg/config"},            // what anybody can ask for
	"pkg/sandbox":               {"pkg/discord", "pkg/blob", "pkg/crypt", "pkg/chunk", "pkg/object", "pkg/packet", "pkg/retry"}, // a peer, not a mock: it shares no code with the client
	"services":                  {"manager", "web", "database/sql"},
	"manager":                   {"services", "web"},
	"manager/internal/meta":     {"net/http", "pkg/packet", "pkg/blob", "manager/internal/vfs", "manager/internal/policy"},
	"manager/internal/policy":   {"net", "database/sql", "pkg/packet", "manager/internal/meta"},
	"manager/internal/vfs":      {"net/http", "database/sql", "manager/internal/api", "manager/internal/hub"},
	"manager/internal/auth":     {"database/sql", "manager/internal/api", "manager/internal/hub"},
	"manager/internal/dispatch": {"database/sql", "manager/internal/api", "manager/internal/hub"},
	"manager/internal/serve":    {"database/sql", "manager/internal/api", "manager/internal/hub"},
	"manager/internal/api":      {"database/sql", "manager/internal/meta/sqlmeta"},
	"manager/internal/hub":      {"database/sql", "manager/internal/meta/sqlmeta"},
	"manager/internal/event":    {"net", "manager/internal/meta"},
	"pkg/blob":                  {"manager"},
	"pkg/object":                {"net", "database/sql", "pkg/discord"},
	"pkg/config":                {"pkg/discord", "pkg/blob"},
	"tools":                     {"manager/internal"},
	"manager/internal/thumbs":   {"net/http", "database/sql", "manager/internal/api", "manager/internal/hub"},
	"services/thumbnail":        {"pkg/discord", "pkg/blob", "pkg/crypt"},
	"services/thumbnail/decode": {"pkg", "log/slog"},
	"services/worker":           {"pkg/discord", "pkg/blob", "pkg/crypt"},
}

const module = "discordcloud"

// goFile is one parsed source file of the project.
type goFile struct {
	path, dir string
	test      bool
	imports   []string
	doc       bool // has a package comment
	name      string
	getenv    bool
}

func sources(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "node_modules" || name == "testdata" || name == "data" || (strings.HasPrefix(name, ".") && name != ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		// Parsed here, not asked of a child: the test's cached result must
		// depend on these files.
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		g := goFile{
			path: filepath.ToSlash(path), dir: filepath.ToSlash(filepath.Dir(path)), test: strings.HasSuffix(path, "_test.go") || strings.HasSuffix(f.Name.Name, "test"), // blobtest and its like
			doc: f.Doc != nil && strings.TrimSpace(f.Doc.Text()) != "", name: f.Name.Name, getenv: strings.Contains(string(src), "os.Getenv") || strings.Contains(string(src), "os.LookupEnv"),
		}
		for _, s := range f.Imports {
			p, err := strconv.Unquote(s.Path.Value)
			if err != nil {
				return err
			}
			g.imports = append(g.imports, strings.TrimPrefix(p, module+"/"))
		}
		files = append(files, g)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("only %d Go files found: the walk is broken", len(files))
	}
	return files
}

func below(path, tree string) bool { return path == tree || strings.HasPrefix(path, tree+"/") }

func TestArchitecture_imports(t *testing.T) {
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for tree, forbidden := range never {
			if !below(f.dir, tree) {
				continue
			}
			for _, imp := range f.imports {
				for _, bad := range forbidden {
					// A tree may import itself.
					if below(imp, bad) && !below(imp, tree) {
						t.Errorf("%s imports %s: %s must not", f.path, imp, tree)
					}
				}
			}
		}
	}
}

func TestArchitecture_packageComments(t *testing.T) {
	has := map[string]bool{}
	for _, f := range sources(t) {
		if !f.test {
			has[f.dir] = has[f.dir] || f.doc
		}
	}
	for dir, ok := range has {
		if !ok {
			t.Errorf("no package comment in %s", dir)
		}
	}
}

func TestArchitecture_onlyMainReadsTheEnvironment(t *testing.T) {
	for _, f := range sources(t) {
		if f.getenv && !f.test && f.dir != "." && f.dir != "pkg/config" && !below(f.dir, "tools") {
			t.Errorf("%s reads the environment: settings are read in main and handed down", f.path)
		}
	}
}

func TestArchitecture_noEmptyNames(t *testing.T) {
	for _, f := range sources(t) {
		if slices.Contains([]string{"util", "utils", "common", "helpers", "types", "misc"}, f.name) {
			t.Errorf("%s: package %s says nothing", f.path, f.name)
		}
	}
}
