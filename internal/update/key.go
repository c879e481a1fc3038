package update

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// keyIDLen is enough to tell keys apart; the signature does the rest.
const keyIDLen = 8

// A Key is one that bundles are signed with, by the name of its file.
type Key struct {
	Name   string
	Public ed25519.PublicKey
}

func keyID(k ed25519.PublicKey) []byte {
	h := sha256.Sum256(k)
	return h[:keyIDLen]
}

// keySuffix of the files with keys that are trusted.
const keySuffix = ".pem"

// LoadKeys reads every public key in dir, one a file, as
// `openssl pkey -pubout` writes it (RFC 8410, in PEM).
func LoadKeys(dir string) ([]Key, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*"+keySuffix))
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("update: no keys in %s: no bundle can be trusted", dir)
	}
	var keys []Key
	for _, file := range files {
		der, err := readPEM(file, "PUBLIC KEY")
		if err != nil {
			return nil, err
		}
		k, err := x509.ParsePKIXPublicKey(der)
		public, ok := k.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, fmt.Errorf("update: %s: want a public Ed25519 key", file)
		}
		keys = append(keys, Key{strings.TrimSuffix(filepath.Base(file), keySuffix), public})
	}
	return keys, nil
}

// LoadPrivateKey reads a key to sign with, as `openssl genpkey -algorithm
// ed25519` writes it.
func LoadPrivateKey(file string) (ed25519.PrivateKey, error) {
	der, err := readPEM(file, "PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	private, ok := k.(ed25519.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("update: %s: want a private Ed25519 key", file)
	}
	return private, nil
}

func readPEM(file, kind string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	block, _ := pem.Decode(b)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("update: %s: want a %s in PEM", file, kind)
	}
	return block.Bytes, nil
}

// PublicPEM is the public part of a private key, as LoadKeys reads it.
func PublicPEM(k ed25519.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		return nil, fmt.Errorf("update: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// NewKey makes a private key in a file that only its owner can read. It
// overwrites none.
func NewKey(file string) error {
	_, k, err := ed25519.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return wrap(errors.Join(pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der}), f.Close()))
}

// wrap gives an error the package's name.
func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("update: %w", err)
}
