package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"discordcloud/pkg/cloud"
)

// forge signs any header and claims with our key, or another.
func forge(t testing.TB, header, claims map[string]any, method jwt.SigningMethod, with any) string {
	t.Helper()
	token := &jwt.Token{Header: header, Claims: jwt.MapClaims(claims), Method: method}
	s, err := token.SignedString(with)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestVerify_Forged tries what has been done to tokens elsewhere. All but the
// last of them are signed rightly, unless the signature is the point.
func TestVerify_Forged(t *testing.T) {
	w := open(t)
	u := w.first(t)
	good, _ := w.signIn(t, "ada")
	public, err := x509.MarshalPKIXPublicKey(&key().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	foreign, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := w.clock()
	header := func(over map[string]any) map[string]any {
		h := map[string]any{"alg": "RS256", "typ": "discord-cloud-session+jwt"}
		maps.Copy(h, over)
		return h
	}
	claims := func(over map[string]any) map[string]any {
		c := map[string]any{
			"iss": "discord-cloud", "aud": "discord-cloud", "sub": fmt.Sprint(u.ID), "jti": good.Session,
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}
		maps.Copy(c, over)
		for k, v := range c {
			if v == nil {
				delete(c, k)
			}
		}
		return c
	}
	type m = map[string]any
	rs := func(h, c m) string { return forge(t, header(h), claims(c), jwt.SigningMethodRS256, key()) }
	if who, err := w.Verify(t.Context(), rs(nil, nil)); err != nil || who.User != u.ID {
		t.Fatalf("the form that the others vary: %+v, %v", who, err)
	}

	jwk, err := json.Marshal(m{"kty": "RSA", "n": base64.RawURLEncoding.EncodeToString(foreign.N.Bytes()), "e": "AQAB"})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(good.Text, ".")
	for name, text := range map[string]string{
		"alg none":             forge(t, header(m{"alg": "none"}), claims(nil), jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"alg None":             forge(t, header(m{"alg": "None"}), claims(nil), jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType),
		"alg none, our header": parts[0] + "." + parts[1] + ".",
		"HS256 by public PEM":  forge(t, header(m{"alg": "HS256"}), claims(nil), jwt.SigningMethodHS256, publicPEM),
		"HS256 by public DER":  forge(t, header(m{"alg": "HS256"}), claims(nil), jwt.SigningMethodHS256, public),
		"HS256, our header":    forge(t, header(nil), claims(nil), jwt.SigningMethodHS256, publicPEM),
		"RS512":                forge(t, header(m{"alg": "RS512"}), claims(nil), jwt.SigningMethodRS512, key()),
		"PS256":                forge(t, header(m{"alg": "PS256"}), claims(nil), jwt.SigningMethodPS256, key()),
		"foreign key":          forge(t, header(nil), claims(nil), jwt.SigningMethodRS256, foreign),
		"kid":                  rs(m{"kid": "../../dev/null"}, nil),
		"jwk":                  forge(t, header(m{"jwk": json.RawMessage(jwk)}), claims(nil), jwt.SigningMethodRS256, foreign),
		"jku":                  rs(m{"jku": "https://evil.example/keys"}, nil),
		"x5u":                  rs(m{"x5u": "https://evil.example/cert"}, nil),
		"crit":                 rs(m{"crit": []string{"b64"}, "b64": false}, nil),
		"typ JWT":              rs(m{"typ": "JWT"}, nil),
		"no typ":               forge(t, m{"alg": "RS256"}, claims(nil), jwt.SigningMethodRS256, key()),
		"other iss":            rs(nil, m{"iss": "elsewhere"}),
		"no iss":               rs(nil, m{"iss": nil}),
		"other aud":            rs(nil, m{"aud": "elsewhere"}),
		"no aud":               rs(nil, m{"aud": nil}),
		"several aud":          rs(nil, m{"aud": []string{"discord-cloud", "elsewhere"}}),
		"no exp":               rs(nil, m{"exp": nil}),
		"exp 0":                rs(nil, m{"exp": 0}),
		"exp passed":           rs(nil, m{"exp": now.Add(-time.Hour).Unix()}),
		"exp text":             rs(nil, m{"exp": fmt.Sprint(now.Add(time.Hour).Unix())}),
		"exp fraction":         rs(nil, m{"exp": float64(now.Add(time.Hour).Unix()) + 0.5}),
		"exp huge":             rs(nil, m{"exp": json.Number("1e400")}),
		"iat later":            rs(nil, m{"iat": now.Add(time.Hour).Unix()}),
		"other sub":            rs(nil, m{"sub": fmt.Sprint(u.ID + 1)}),
		"sub number":           rs(nil, m{"sub": u.ID}),
		"sub 0":                rs(nil, m{"sub": "0"}),
		"no sub":               rs(nil, m{"sub": nil}),
		"other jti":            rs(nil, m{"jti": "guess"}),
		"no jti":               rs(nil, m{"jti": nil}),
		"empty":                "",
		"dots":                 strings.Repeat(".", 10_000),
		"our header and dots":  parts[0] + strings.Repeat(".", 4000),
		"long":                 parts[0] + "." + strings.Repeat("A", 5000) + "." + parts[2],
		"four parts":           good.Text + ".",
		"two parts":            parts[0] + "." + parts[1],
		"padded":               good.Text + "=",
		"in front":             " " + good.Text,
		"behind":               good.Text + "\n",
		"no claims":            parts[0] + ".." + parts[2],
		"version 1's own form": forge(t, m{"alg": "RS256", "typ": "JWT"}, m{"user": u.ID, "hash": strings.Repeat("0", 64), "iat": now.Unix()}, jwt.SigningMethodRS256, key()),
	} {
		if who, err := w.Verify(t.Context(), text); !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Errorf("%s: %+v, %v", name, who, err)
		}
	}
	// Every character counts.
	for i := range good.Text {
		b := []byte(good.Text)
		if b[i] == 'A' {
			b[i] = 'B'
		} else {
			b[i] = 'A'
		}
		if _, err := w.Verify(t.Context(), string(b)); !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Fatalf("with character %d changed: %v", i, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	w := open(f)
	w.first(f)
	good, _ := w.signIn(f, "ada")
	f.Add(good.Text)
	f.Add("..")
	f.Add(strings.Replace(good.Text, ".", "..", 1))
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := w.Verify(t.Context(), s); s != good.Text && !errors.Is(err, cloud.ErrUnauthenticated) {
			t.Errorf("Verify(%q) = %v", s, err)
		}
	})
}
