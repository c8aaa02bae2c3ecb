package cloud_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"discordcloud/pkg/cloud"
)

func TestObjectID_text(t *testing.T) {
	id := cloud.ObjectID{0: 0x40, 15: 0xff}
	text := id.String()
	if text != "400000000000000000000000000000ff" {
		t.Errorf("String = %q", text)
	}
	if got, err := cloud.ParseObjectID(text); err != nil || got != id {
		t.Errorf("ParseObjectID(%q) = %v, %v", text, got, err)
	}
	for _, bad := range []string{"", text[1:], text + "0", strings.Repeat("g", 32)} {
		if _, err := cloud.ParseObjectID(bad); !errors.Is(err, cloud.ErrInvalid) {
			t.Errorf("ParseObjectID(%q): %v, want ErrInvalid", bad, err)
		}
	}
	if id.IsZero() || !(cloud.ObjectID{}).IsZero() {
		t.Error("IsZero is wrong")
	}
}

func TestSum_text(t *testing.T) {
	sum := cloud.Sum{31: 1}
	if got, err := cloud.ParseSum(sum.String()); err != nil || got != sum {
		t.Errorf("round trip: %v, %v", got, err)
	}
	if got, err := cloud.ParseSum(""); err != nil || !got.IsZero() || got.String() != "" {
		t.Errorf("the unknown sum: %v, %v, %q", got, err, got.String())
	}
	if _, err := cloud.ParseSum("00"); !errors.Is(err, cloud.ErrInvalid) {
		t.Errorf("a short sum: %v", err)
	}
}

func TestErrors_codeAndText(t *testing.T) {
	user := cloud.UserErrorf(cloud.ErrExists, "%q is taken", "a")
	for _, tt := range []struct {
		err        error
		kind       error
		code, text string
	}{
		{cloud.ErrNotFound, cloud.ErrNotFound, "not_found", "not found"},
		{fmt.Errorf("open: %w", cloud.ErrCorrupt), cloud.ErrCorrupt, "corrupt", "damaged"},
		{user, cloud.ErrExists, "exists", `"a" is taken`},
		{fmt.Errorf("create: %w", user), cloud.ErrExists, "exists", `"a" is taken`},
		{errors.New("disk on fire at /secret/path"), nil, "internal", "internal error"},
		{nil, nil, "internal", "internal error"},
	} {
		if got := cloud.KindOf(tt.err); got != tt.kind {
			t.Errorf("KindOf(%v) = %v, want %v", tt.err, got, tt.kind)
		}
		if got := cloud.CodeOf(tt.err); got != tt.code {
			t.Errorf("CodeOf(%v) = %q, want %q", tt.err, got, tt.code)
		}
		if tt.err != nil && strings.Contains(tt.err.Error(), `"a"`) {
			t.Errorf("%v tells a name where it may be logged", tt.err)
		}
		if got := cloud.TextOf(tt.err); got != tt.text {
			t.Errorf("TextOf(%v) = %q, want %q", tt.err, got, tt.text)
		}
	}
}
