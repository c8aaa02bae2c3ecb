package crypt_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"discordcloud/pkg/crypt"
)

func TestKeys_NeverPrinted(t *testing.T) {
	ring, id, _ := fixed()
	key := ring.ObjectKey(id)
	values := []any{ring, ring[0], &ring[0], key, struct{ K crypt.ObjectKey }{key}, map[string]crypt.MasterKey{"k": ring[0]}}
	var out bytes.Buffer
	for _, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%t"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
		slog.New(slog.NewTextHandler(&out, nil)).Info("m", "key", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "key", v)
	}
	text := strings.ToLower(out.String())
	for _, leak := range []string{"0102", "01 02", "1 2 3", "1,2,3", "0x1, 0x2", "cf62", "207 98", "207,98", "0xcf, 0x62"} {
		if strings.Contains(text, leak) {
			t.Errorf("%q is printed", leak)
		}
	}
	if !strings.Contains(text, "secret") {
		t.Error("no stand-in is printed")
	}
}
