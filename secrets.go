package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"discordcloud/pkg/config"
)

// makeSecrets writes fresh keys to path and gives them. It never replaces a
// file, and makes keys for no store that exists: whoever lost the key of a
// store must be told, not handed another one.
func makeSecrets(path, store string) (secretSettings, error) {
	switch _, err := os.Stat(store); {
	case err == nil:
		return secretSettings{}, misconfigured(
			"%s holds files, but its keys are missing: %s. New keys could not open what is stored; bring back %s or set them",
			store, strings.Join(secretNames, ", "), path)
	case !errors.Is(err, fs.ErrNotExist):
		return secretSettings{}, err
	}
	s, err := freshSecrets()
	if err != nil {
		return secretSettings{}, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return secretSettings{}, fmt.Errorf("make the data folder: %w", err)
	}
	if err := writeNew(path, "# The keys of this server. Keep a copy in a safe place:\n# without MESSAGE_ENCRYPTION_KEY nothing that is stored can be read again.\n"+s.lines()); err != nil {
		return secretSettings{}, fmt.Errorf("keep the new keys: %w", err)
	}
	return s, nil
}

func freshSecrets() (secretSettings, error) {
	var password, message [32]byte
	_, _ = rand.Read(password[:]) // never fails, by its contract
	_, _ = rand.Read(message[:])
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		return secretSettings{}, fmt.Errorf("make a key for tokens: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return secretSettings{}, fmt.Errorf("write the private key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return secretSettings{}, fmt.Errorf("write the public key: %w", err)
	}
	inPEM := func(kind string, der []byte) config.Secret {
		return config.Secret(base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return secretSettings{
		password: config.Secret(base64.RawURLEncoding.EncodeToString(password[:])),
		private:  inPEM("PRIVATE KEY", private),
		public:   inPEM("PUBLIC KEY", public),
		messages: config.Secret(base64.StdEncoding.EncodeToString(message[:])),
	}, nil
}

func (s secretSettings) lines() string {
	return fmt.Sprintf("SERVICE_PASSWORD=%s\nPRIVATE_KEY=%s\nPUBLIC_KEY=%s\nMESSAGE_ENCRYPTION_KEY=%s\n",
		s.password.Reveal(), s.private.Reveal(), s.public.Reveal(), s.messages.Reveal())
}

// writeNew makes a file for its owner only, durably, and fails if it exists.
func writeNew(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	err = dir.Sync()
	if cerr := dir.Close(); err == nil {
		err = cerr
	}
	return err
}

// tokenKeys reads the pair of keys for tokens, and checks that it is one.
func (s secretSettings) tokenKeys() (*rsa.PrivateKey, *rsa.PublicKey, error) {
	private, err := readPEM("PRIVATE_KEY", s.private, func(der []byte) (any, error) {
		if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
			return key, nil
		}
		return x509.ParsePKCS8PrivateKey(der)
	})
	if err != nil {
		return nil, nil, err
	}
	public, err := readPEM("PUBLIC_KEY", s.public, func(der []byte) (any, error) {
		if key, err := x509.ParsePKCS1PublicKey(der); err == nil {
			return key, nil
		}
		return x509.ParsePKIXPublicKey(der)
	})
	if err != nil {
		return nil, nil, err
	}
	priv, ok := private.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, misconfigured("PRIVATE_KEY is no RSA key")
	}
	pub, ok := public.(*rsa.PublicKey)
	if !ok || !priv.PublicKey.Equal(pub) {
		return nil, nil, misconfigured("PUBLIC_KEY does not belong to PRIVATE_KEY")
	}
	if priv.N.BitLen() < 2048 {
		return nil, nil, misconfigured("PRIVATE_KEY has %d bits; at least 2048 are needed", priv.N.BitLen())
	}
	return priv, pub, nil
}

func readPEM(name string, s config.Secret, parse func([]byte) (any, error)) (any, error) {
	text, err := base64.StdEncoding.DecodeString(s.Reveal())
	if err != nil {
		return nil, misconfigured("%s is not base64", name)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, misconfigured("%s is not base64 of a PEM file", name)
	}
	key, err := parse(block.Bytes)
	if err != nil {
		return nil, misconfigured("%s holds no key that can be read", name)
	}
	return key, nil
}
