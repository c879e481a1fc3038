package srp

import (
	"fmt"
	"testing"
)

// One renewal among ten thousand services: a signature is checked, a record is
// stored.
func BenchmarkRenewal(b *testing.B) {
	w := newWorld(b, func(c *Config) { c.MaxPerSource = 20_000 })
	c := w.client()
	var messages [][]byte
	for i := range 10_000 {
		m := c.message(plain(fmt.Sprint("host-", i), fmt.Sprint("service ", i)))
		if code, _ := w.receive(peer, m); code != NoError {
			b.Fatal(code)
		}
		if i%100 == 0 {
			messages = append(messages, m)
		}
	}
	for i := 0; b.Loop(); i++ {
		w.events = nil
		// One by one, none is a repetition of the one before.
		if code, _ := w.receive(peer, messages[i%len(messages)]); code != NoError {
			b.Fatal(code)
		}
	}
}
