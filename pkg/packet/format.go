package packet

import (
	"encoding/base64"
	"strings"
	"time"
)

// format is a pattern that strings have to match.
type format struct {
	name  string // as PACKETS.md calls it
	match func(s string, v Version) bool
}

var (
	asName = format{"name", func(s string, v Version) bool {
		if v == V1 {
			return ValidNameV1(s)
		}
		return ValidNameV2(s)
	}}
	asPath = format{"path", func(s string, v Version) bool {
		if v == V1 {
			return ValidPathV1(s)
		}
		return ValidPathV2(s)
	}}
	asUUID      = format{"uuid", func(s string, _ Version) bool { return ValidUUID(s) }}
	asSnowflake = format{"snowflake", func(s string, _ Version) bool {
		return len(s) >= 15 && len(s) <= 22 && only(s, "0123456789")
	}}
	asHash      = hexOf("hash", 64)
	asObject    = hexOf("object", 32)
	asSalt      = hexOf("salt", 64)
	asHeader    = hexOf("header", 128)
	asBase64URL = format{"base64url", func(s string, _ Version) bool {
		return s != "" && only(s, alphanumeric+"_-")
	}}
	asUsername = format{"username", func(s string, v Version) bool {
		if v == V1 {
			return s != "" && len(s) <= 16 && only(s, alphanumeric)
		}
		return s != "" && len(s) <= 64 && only(s, alphanumeric+"._-")
	}}
	asTime = format{"time", func(s string, _ Version) bool {
		_, err := time.Parse(time.RFC3339Nano, s)
		return err == nil
	}}
	asBase64 = base64Of("base64", func(n int) bool { return n > 0 })
	asKey    = base64Of("key", func(n int) bool { return n == 32 })
	asLeaves = base64Of("leaves", func(n int) bool { return n > 0 && n%32 == 0 })
)

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func base64Of(name string, size func(bytes int) bool) format {
	return format{name, func(s string, _ Version) bool {
		b, err := base64.StdEncoding.Strict().DecodeString(s)
		return err == nil && size(len(b)) && !strings.ContainsAny(s, "\r\n") // the decoder skips line ends
	}}
}

func hexOf(name string, digits int) format {
	return format{name, func(s string, _ Version) bool { return len(s) == digits && only(s, "0123456789abcdef") }}
}

// only tells that s has no other bytes than those of set, which is ASCII.
func only(s, set string) bool {
	return strings.Trim(s, set) == ""
}

// ValidUUID tells whether s is a UUID as the wire has them: lower-case hex
// digits in groups of 8, 4, 4, 4 and 12, of any version.
func ValidUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return false
			}
		}
	}
	return true
}
