//go:build interop

package interop

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatewayd/ieee802154"
)

// The radio is reset, cut off and killed twenty times with children attached.
// The gateway stays the same process, the children keep their parent, pings
// resume within 5 s, and no frame counter is used twice.
func TestRadioComesAndGoes(t *testing.T) {
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	dir := t.TempDir()
	capture, socket := filepath.Join(dir, "air.pcapng"), filepath.Join(dir, "rcp")
	sniffer := ns.startMode("sniff", capture)
	disturb := ns.startMode("proxy", socket, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1")
	g := startGateway(t, ns, "spinel+hdlc+unix://"+socket)
	g.form()
	pid := g.cmd.Process.Pid
	dataset := strings.TrimSpace(g.ctl("dataset", "export"))

	var addrs []string
	var kids []*otCLI
	for i, x := range []struct{ program, mode string }{{"ot-cli-ftd", "rdn"}, {"ot-cli-mtd", "rn"}, {"ot-cli-mtd", "-"}} {
		c := ns.cli(x.program, 2+i)
		for _, s := range []string{"mode " + x.mode, "dataset set active " + dataset, "ifconfig up"} {
			c.ask(s)
		}
		if x.mode == "-" {
			c.ask("pollperiod 300")
		}
		if x.program == "ot-cli-ftd" {
			c.ask("routereligible disable")
		}
		c.ask("thread start")
		waitState(t, c.ask, 20*time.Second, "child")
		addrs, kids = append(addrs, c.ask("ipaddr mleid")[0]), append(kids, c)
	}
	parents := func() string {
		var s []string
		for _, c := range kids {
			s = append(s, c.ask("rloc16")[0])
		}
		return strings.Join(s, " ")
	}
	before := parents()
	worst := time.Duration(0)
	for i := range 20 {
		how := []string{"close", "reset", "kill"}[i%3]
		fmt.Fprintln(disturb, how)
		start := time.Now()
		for _, a := range addrs {
			for g.ns.command("ping", "-6", "-n", "-c", "1", "-W", "1", "-s", "16", a).Run() != nil {
				if time.Since(start) > 20*time.Second {
					t.Fatalf("round %d (%s): %s does not answer", i, how, a)
				}
			}
		}
		took := time.Since(start)
		worst = max(worst, took)
		if took > 5*time.Second {
			t.Errorf("round %d (%s): pings resumed after %v", i, how, took)
		}
	}
	t.Logf("20 disturbances: all children answered again after at most %v", worst.Round(10*time.Millisecond))
	if after := parents(); after != before {
		t.Errorf("children were %s, are %s", before, after)
	}
	if err := exec.Command("kill", "-0", strconv.Itoa(pid)).Run(); err != nil || g.cmd.ProcessState != nil {
		t.Error("the gateway ended")
	}
	sniffer.Close()
	time.Sleep(200 * time.Millisecond)
	checkCounters(t, capture, g.status()["ext_address"])
}

// checkCounters fails if two different frames of one sender and key have the
// same frame counter.
func checkCounters(t *testing.T, capture string, gateway any) {
	t.Helper()
	type use struct {
		src     string
		index   uint8
		counter uint32
	}
	seen := map[use]string{}
	secured, repeated := 0, 0
	for _, p := range frames(t, capture) {
		f, err := ieee802154.Decode(p.PSDU)
		if err != nil || !f.Secured || f.Security.KeyIDMode != 1 || f.Src.Mode == ieee802154.AddrNone {
			continue
		}
		secured++
		u := use{f.Src.String(), f.Security.KeyIndex, f.Security.Counter}
		if was, ok := seen[u]; ok {
			repeated++
			if was != string(p.PSDU) {
				t.Errorf("counter %d of %s was used for two frames", u.counter, u.src)
			}
		}
		seen[u] = string(p.PSDU)
	}
	t.Logf("%d secured frames, %d of them identical repetitions; gateway %v", secured, repeated, gateway)
	if secured < 100 {
		t.Errorf("only %d secured frames were seen", secured)
	}
}

// tshark decrypts what we send and finds nothing malformed.
func TestTsharkReadsUs(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("no tshark")
	}
	rcp := otProgram(t, "ot-rcp")
	ns := newRCPNetns(t)
	ns.env = []string{nextOffset()}
	capture := filepath.Join(t.TempDir(), "air.pcapng")
	sniffer := ns.startMode("sniff", capture)
	g := startGateway(t, ns, "spinel+hdlc+forkpty://"+rcp+"?forkpty-arg=1")
	g.form()
	c, eui64 := ns.joiner("ot-cli-ftd", 2)
	addr, _, err := g.join(c, eui64, pskd)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{16, 500, 1232} {
		if err := g.hostPing(addr, size, 2); err != nil {
			t.Error(err)
		}
	}
	c.ask("counters")
	sniffer.Close()
	time.Sleep(300 * time.Millisecond)

	key := c.ask("networkkey")[0]
	pan := strings.TrimPrefix(c.ask("panid")[0], "0x")
	args := []string{"-r", capture, "-o", `uat:ieee802154_keys:"` + key + `","1","Thread hash"`,
		"-o", "thread.thr_seq_ctr:00000000", "-o", "6lowpan.context0:" + c.ask("prefix meshlocal")[0],
		"-d", "udp.port==61631,coap", "-d", "udp.port==1000,dtls"}
	for short, ext := range map[string]string{c.ask("rloc16")[0]: c.ask("extaddr")[0]} {
		args = append(args, "-o", fmt.Sprintf(`uat:802154_addresses:"%s","%s",%s`, short, pan, ext))
	}
	st := g.status()
	for _, p := range st["on_mesh_prefixes"].([]any) {
		args = append(args, "-o", fmt.Sprintf("6lowpan.context1:%v", p))
	}
	args = append(args, "-o", fmt.Sprintf(`uat:802154_addresses:"%s","%s",%s`,
		strings.TrimPrefix(fmt.Sprint(st["rloc16"]), "0x"), pan, st["ext_address"]))
	args = append(args, "-T", "fields", "-E", "separator=|", "-e", "frame.number", "-e", "_ws.col.Protocol", "-e", "_ws.col.Info", "-e", "_ws.malformed", "-e", "_ws.expert.message", "-e", "wpan.aux_sec.key_id_mode")
	out, err := exec.Command(tshark, args...).Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	kinds := map[string]int{}
	for _, l := range lines {
		f := strings.Split(l, "|")
		if len(f) < 6 || f[5] == "0x00" {
			continue // key id mode 0 is the KEK, which nobody tells
		}
		kinds[f[1]]++
		if f[3] != "" {
			t.Errorf("malformed: %s", l)
		}
		if strings.Contains(f[4], "ecrypt") || strings.Contains(f[4], "No encryption key") || strings.Contains(f[4], "checksum") {
			t.Errorf("not decrypted: %s", l)
		}
	}
	t.Logf("%d frames: %v", len(lines), kinds)
	if kinds["MLE"] == 0 || kinds["ICMPv6"] == 0 || kinds["DTLSv1.2"] == 0 {
		t.Errorf("kinds of frames: %v", kinds)
	}
}
