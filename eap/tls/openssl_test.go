package tls

import (
	"bytes"
	stdtls "crypto/tls"
	"crypto/x509"
	"encoding/pem"
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

// OpenSSL at the other end of TLS 1.2 derives the same keys. It has no EAP:
// the engine speaks to it over TCP.
func TestOpenSSLKeys(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	for _, role := range []string{"server", "client"} {
		t.Run("with its "+role, func(t *testing.T) {
			s := newSetup(t, stdtls.VersionTLS12)
			server, peer := s.sides(t)
			ln, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			var e *engine
			var conn net.Conn
			attime := fmt.Sprint(noon.Unix())
			args := []string{"-keymatexport", label12, "-keymatexportlen", "128", "-attime", attime}
			var out bytes.Buffer
			spawn := func(more ...string) *exec.Cmd {
				cmd := exec.Command(openssl, append(more, args...)...)
				cmd.Stdout, cmd.Stderr = &out, &out
				stdin, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() {
					stdin.Close()
					_ = cmd.Process.Kill() // it may have ended
				})
				return cmd
			}
			var cmd *exec.Cmd
			if role == "client" {
				cert, root := files(t, s.ca, s.peer.Certificate)
				cmd = spawn("s_client", "-connect", ln.Addr().String(), "-cert", cert, "-key", cert, "-CAfile", root, "-verify_return_error")
				if conn, err = ln.Accept(); err != nil {
					t.Fatal(err)
				}
				m, err := server.Start(eap.ServerContext{})
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				e = m.(*serverMethod).tls
			} else {
				cert, root := files(t, s.ca, s.server.Certificate)
				addr := ln.Addr().String()
				ln.Close() // its port is free now
				cmd = spawn("s_server", "-accept", addr, "-naccept", "1", "-cert", cert, "-key", cert, "-CAfile", root, "-Verify", "2", "-verify_return_error")
				for range 100 {
					if conn, err = net.Dial("tcp4", addr); err == nil {
						break
					}
					time.Sleep(20 * time.Millisecond)
				}
				if err != nil {
					t.Fatal(err)
				}
				e = newClient(peer.base)
				defer e.close()
				if _, err := conn.Write(e.step(nil)); err != nil {
					t.Fatal(err)
				}
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			for b := make([]byte, 4096); !e.finished; {
				n, err := conn.Read(b)
				if err != nil {
					t.Fatalf("%v: %s", err, out.Bytes())
				}
				if _, err := conn.Write(e.step(b[:n])); err != nil {
					t.Fatal(err)
				}
				if e.err != nil {
					t.Fatal(e.err)
				}
			}
			conn.Close() // then it ends
			if err := cmd.Wait(); err != nil {
				t.Logf("openssl: %v", err)
			}
			want := strings.ToUpper(fmt.Sprintf("%x%x", e.keys.msk, e.keys.emsk))
			if !strings.Contains(out.String(), "Keying material: "+want) {
				t.Errorf("openssl has other keys than %s:\n%s", want, out.Bytes())
			}
		})
	}
}
