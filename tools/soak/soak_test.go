package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestSoak(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"-for", "5s", "-seed", "1"}, &out, &errs); code != 0 {
		t.Errorf("exit code %d\n%s%s", code, &out, &errs)
	}
	t.Log(out.String())
}

// canary is a bug that is planted into a file of the product.
type canary struct {
	file      string // below the root of the module
	old, new  string
	complains string // what the soak must say
}

var canaries = map[string]canary{
	"tag check off": {
		file: "pkg/crypt/key.go",
		old:  "	return aead\n}",
		new: `	return untagged{aead, block}
}

// untagged opens whatever it gets: it decrypts as GCM does, and looks at no tag.
type untagged struct {
	cipher.AEAD
	block cipher.Block
}

func (u untagged) Open(dst, nonce, sealed, _ []byte) ([]byte, error) {
	counter := append(append([]byte(nil), nonce...), 0, 0, 0, 2)
	plain := make([]byte, len(sealed)-u.Overhead())
	cipher.NewCTR(u.block, counter).XORKeyStream(plain, sealed[:len(plain)])
	return append(dst, plain...), nil
}`,
		complains: "differs",
	},
	"retry without nonce": {
		file:      "pkg/discord/post.go",
		old:       "EnforceNonce: true",
		new:       "EnforceNonce: false",
		complains: "posted twice",
	},
}

// A planted bug must show. It is compiled in by an overlay, so that the product
// itself has no hooks for it.
func TestCanary(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range canaries {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(root, filepath.FromSlash(c.file))
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), c.old); n != 1 {
				t.Fatalf("%s has %q %d times: plant the bug elsewhere", c.file, c.old, n)
			}
			planted, overlay, binary := filepath.Join(dir, "planted.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "soak")
			text, err := json.Marshal(map[string]any{"Replace": map[string]string{file: planted}})
			if err != nil {
				t.Fatal(err)
			}
			for path, content := range map[string]string{planted: strings.Replace(string(source), c.old, c.new, 1), overlay: string(text)} {
				if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
				t.Fatalf("go build: %v\n%s", err, out)
			}
			out, err := exec.CommandContext(t.Context(), binary, "-for", "8s", "-seed", "1", "-worse", "3").CombinedOutput()
			failed, ok := errors.AsType[*exec.ExitError](err)
			if !ok || failed.ExitCode() != 1 || !strings.Contains(string(out), c.complains) {
				t.Errorf("the soak ends with %v and does not complain that something %s:\n%s", err, c.complains, out)
			}
		})
	}
}
