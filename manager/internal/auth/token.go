package auth

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"discordcloud/pkg/cloud"
)

// What our tokens say of themselves. RFC 8725 §3.11: a type of their own keeps
// them apart from whatever else is signed with the same key.
const (
	tokenType     = "discord-cloud-session+jwt"
	tokenIssuer   = "discord-cloud"
	tokenAudience = "discord-cloud"
	maxToken      = 4096 // bytes; ours have some 600
)

// claims are all that a token holds. Times are whole seconds, and nothing else
// decodes: not a text, not a fraction.
type claims struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	Subject  string `json:"sub"` // user id, or that of a link
	ID       string `json:"jti"` // session id, or what a link's password and mode come to
	IssuedAt int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return date(c.Expires) }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return date(c.IssuedAt) }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (c *claims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c *claims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings{c.Audience}, nil }

func date(unix int64) (*jwt.NumericDate, error) {
	if unix == 0 {
		return nil, nil
	}
	return jwt.NewNumericDate(time.Unix(unix, 0)), nil
}

// signer makes and checks tokens of one kind. There is one key, one algorithm and
// one form of header; the header of a token is compared, never interpreted, so that none
// can choose how it is checked (alg, kid, jwk, jku, x5u).
type signer struct {
	private *rsa.PrivateKey
	public  *rsa.PublicKey
	kind    string // the typ of its tokens
	header  string // the first part of every token, with its dot
}

func newSigner(private *rsa.PrivateKey, public *rsa.PublicKey, kind string) *signer {
	header, err := json.Marshal(newToken(kind, nil).Header)
	if err != nil {
		panic("auth: " + err.Error()) // a map of two texts
	}
	return &signer{private: private, public: public, kind: kind, header: base64.RawURLEncoding.EncodeToString(header) + "."}
}

func newToken(kind string, c jwt.Claims) *jwt.Token {
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, c)
	t.Header["typ"] = kind
	return t
}

func (s *signer) sign(user cloud.UserID, session string, issued, expires time.Time) (string, error) {
	if s.private == nil {
		return "", errors.New("sign token: there is no key")
	}
	text, err := newToken(s.kind, &claims{
		Issuer: tokenIssuer, Audience: tokenAudience,
		Subject: strconv.FormatInt(int64(user), 10), ID: session,
		IssuedAt: issued.Unix(), Expires: expires.Unix(),
	}).SignedString(s.private)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return text, nil
}

var errToken = errors.New("not a token of ours")

// verify gives the user and the session that a token names. The error is
// ErrUnauthenticated, whatever is wrong.
func (s *signer) verify(text string, now time.Time) (cloud.UserID, string, error) {
	refuse := func(err error) (cloud.UserID, string, error) {
		return 0, "", fmt.Errorf("token: %w: %w", cloud.ErrUnauthenticated, err)
	}
	if s.public == nil || len(text) > maxToken || !strings.HasPrefix(text, s.header) || strings.Count(text, ".") != 2 ||
		strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return refuse(errToken)
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
		jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(time.Minute), // several managers' clocks
		jwt.WithIssuer(tokenIssuer),
		jwt.WithAudience(tokenAudience),
		jwt.WithTimeFunc(func() time.Time { return now }),
	)
	var c claims
	if _, err := parser.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return s.public, nil }); err != nil {
		return refuse(err)
	}
	user, err := strconv.ParseInt(c.Subject, 10, 64)
	if err != nil || user <= 0 || c.ID == "" {
		return refuse(errToken)
	}
	return cloud.UserID(user), c.ID, nil
}
