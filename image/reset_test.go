//go:build image

package image

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"
)

// networkKey is the one in dataset.
const networkKey = "00112233445566778899aabbccddeeff"

// keysOn counts where a card has the network key outside of its slots: as it
// is, in hexadecimal as in settings, and in base 64 as in what is stored.
func keysOn(t *testing.T, card string) int {
	t.Helper()
	f, err := os.Open(card)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	raw, err := hex.DecodeString(networkKey)
	if err != nil {
		t.Fatal(err)
	}
	forms := [][]byte{raw, []byte(networkKey)}
	for before := range 3 { // bytes, in a group of base 64
		group := base64.StdEncoding.EncodeToString(append(make([]byte, before), raw...))
		forms = append(forms, []byte(group[4:20])) // none of whose bits are others'
	}
	n := 0
	for _, part := range [][2]int64{{offsets[1], offsets[2]}, {offsets[4], cardSize}} {
		b := make([]byte, part[1]-part[0])
		if _, err := f.ReadAt(b, part[0]); err != nil {
			t.Fatal(err)
		}
		for _, form := range forms {
			n += bytes.Count(b, form)
		}
	}
	return n
}

// A factory reset leaves no key on the card, by command or by a file, whatever
// the data partition holds, even if the power goes in the middle of it; and the
// gateway starts as it did when it was flashed.
func TestReset(t *testing.T) {
	c := card(t)
	writeFile(t, c, 1, "gatewayd.conf", "hostname=gw-image\ndataset="+dataset+"\n")
	b := start(t, c, false, nil)
	b.says(pageLimit, "<h1>gw-image</h1>", "“image” is not on the air")
	b.console.activate(30 * time.Second)
	if out, code := b.console.run(30*time.Second, "gatewayd factory-reset"); code != 2 || !strings.Contains(out, "say --yes") {
		t.Errorf("without --yes: exit code %d, %q", code, out)
	}
	if keysOn(t, c) < 2 {
		t.Fatal("the key is not on the card in the first place")
	}
	b.console.send("gatewayd factory-reset --yes\r")
	b.restarts(restartLimit)
	b = firmware(t, c)
	for end := time.Now().Add(restartLimit); !b.console.has("overwriting the data: 50 %"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is overwritten")
		}
	}
	b.cut()
	b = firmware(t, c)
	page := b.says(pageLimit, "<h1>gatewayd</h1>", "is not on the air")
	if strings.Contains(page, "“image”") || strings.Contains(page, "This box") || !b.console.has("factory reset done") || !b.console.has("grew /data from") {
		t.Errorf("the page says\n%s", page)
	}
	if n := keysOn(t, c); n != 0 {
		t.Errorf("the key is on the card still, %d times", n)
	}
	b.cut()

	// By a file, with a data partition that cannot be used.
	name := between(page, "“", "”")
	writeFile(t, c, 1, "gatewayd.conf", "hostname=gw-image\n")
	writeFile(t, c, 1, "factory-reset.txt", "keep-settings\r\n")
	f, err := os.OpenFile(c, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(bytes.Repeat([]byte("torn"), 1<<20), offsets[4]); err != nil {
		t.Fatal(err)
	}
	b = firmware(t, c)
	page = b.says(pageLimit, "<h1>gw-image</h1>", "is not on the air")
	if between(page, "“", "”") == name || strings.Contains(page, "This box") {
		t.Errorf("%q is what there was; the page says\n%s", name, page)
	}
	if strings.Contains(string(tool(t, "mdir", "-b", "-i", partition(c, 1), "::")), "factory-reset") {
		t.Error("the file that asks for a reset is still there")
	}
}
