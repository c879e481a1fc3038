package tls

import (
	"bytes"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatewayd/eap"
)

// files writes a certificate with its key, and the authority, for openssl.
func files(t *testing.T, ca *authority, c stdtls.Certificate) (cert, root string) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, root = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "root.pem")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
	b = append(b, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(cert, b, 0o600); err != nil {
		t.Fatal(err)
	}
	b = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})
	if err := os.WriteFile(root, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return cert, root
}

// foreign is an openssl at the other end of a TCP connection. It has no EAP:
// the engine speaks to it directly.
type foreign struct {
	cmd  *exec.Cmd
	conn net.Conn
	out  bytes.Buffer
}

// startOpenSSL runs s_client or s_server against the setup's other side, with
// lines for the part of its configuration that is about TLS.
func startOpenSSL(t *testing.T, s *setup, role, conf string) *foreign {
	t.Helper()
	bin, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	addr := ln.Addr().String()
	own := s.peer.Certificate
	args := []string{"s_client", "-connect", addr}
	if role == "server" {
		own = s.server.Certificate
		args = []string{"s_server", "-accept", addr, "-naccept", "1", "-Verify", "2"}
		ln.Close() // its port is free now
	}
	cert, root := files(t, s.ca, own)
	args = append(args, "-cert", cert, "-key", cert, "-CAfile", root, "-verify_return_error",
		"-attime", fmt.Sprint(noon.Unix()), "-keymatexport", label12, "-keymatexportlen", "128")
	f := &foreign{cmd: exec.Command(bin, args...)}
	f.cmd.Stdout, f.cmd.Stderr = &f.out, &f.out
	cnf := filepath.Join(t.TempDir(), "openssl.cnf")
	conf = "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\n" + conf + "\n"
	if err := os.WriteFile(cnf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	f.cmd.Env = append(os.Environ(), "OPENSSL_CONF="+cnf)
	stdin, err := f.cmd.StdinPipe() // it would end with its input
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = f.cmd.Process.Kill() // it may have ended
	})
	if role == "client" {
		f.conn, err = ln.Accept()
	} else {
		for range 100 {
			if f.conn, err = net.Dial("tcp4", addr); err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.conn.Close() })
	if err := f.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return f
}

// run runs the handshake until e is finished or failed, and ends openssl.
func (f *foreign) run(t *testing.T, e *engine, out []byte) {
	t.Helper()
	b := make([]byte, 4096)
	for {
		if _, err := f.conn.Write(out); err != nil {
			t.Fatalf("%v: %s", err, f.out.Bytes())
		}
		if e.finished || e.err != nil {
			break
		}
		n, err := f.conn.Read(b)
		if err != nil {
			t.Fatalf("%v: %s", err, f.out.Bytes())
		}
		out = e.step(b[:n])
	}
	f.conn.Close()
	_ = f.cmd.Wait() // a connection that breaks off is an error to it
}

// OpenSSL at the other end of TLS 1.2 derives the same keys.
func TestOpenSSLKeys(t *testing.T) {
	for _, role := range []string{"server", "client"} {
		t.Run("with its "+role, func(t *testing.T) {
			s := newSetup(t, stdtls.VersionTLS12)
			server, peer := s.sides(t)
			f := startOpenSSL(t, s, role, "")
			var e *engine
			var out []byte
			if role == "client" {
				m, err := server.Start(eap.ServerContext{})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				e = newServer(m.(*serverMethod).cfg)
				defer e.close()
			} else {
				e = newClient(peer.base)
				defer e.close()
				out = e.step(nil)
			}
			f.run(t, e, out)
			want := strings.ToUpper(fmt.Sprintf("%x%x", e.keys.msk, e.keys.emsk))
			if len(want) != 256 || !strings.Contains(f.out.String(), "Keying material: "+want) {
				t.Errorf("openssl has other keys than %s, %v:\n%s", want, e.err, f.out.Bytes())
			}
		})
	}
}

// A server of TLS 1.2 without the extended master secret is refused with that
// reason, and gives no keys.
func TestOpenSSLNoEMS(t *testing.T) {
	s := newSetup(t, stdtls.VersionTLS12)
	_, peer := s.sides(t)
	f := startOpenSSL(t, s, "server", "Options = -ExtendedMasterSecret")
	e := newClient(peer.base)
	defer e.close()
	f.run(t, e, e.step(nil))
	if !errors.Is(explain(e.err), ErrNoEMS) || e.finished || e.keys.msk != nil {
		t.Errorf("%v, finished %v:\n%s", e.err, e.finished, f.out.Bytes())
	}
}
