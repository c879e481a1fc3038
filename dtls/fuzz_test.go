package dtls

import (
	"bytes"
	"testing"
	"time"
)

// inRecords returns the records that came in, each as a datagram of its own.
func (r recording) inRecords(tb testing.TB) [][]byte {
	tb.Helper()
	var all [][]byte
	for _, ev := range r.Events {
		if ev.Dir != "in" {
			continue
		}
		for b := unhex(tb, ev.Hex); len(b) > 0; {
			_, rest, ok := nextRecord(b)
			if !ok {
				tb.Fatalf("no record: %x", b)
			}
			all = append(all, b[:len(b)-len(rest)])
			b = rest
		}
	}
	return all
}

// Whatever comes in at whatever state, nothing panics and no more than the
// limits is kept; only the peer's own records establish a session, deliver data
// or do anything to a session that is established.
func FuzzHandle(f *testing.F) {
	recs := []recording{
		readRecording(f, "ecjpake-client-vs-mbedtls.json"),
		readRecording(f, "ecjpake-server-vs-mbedtls.json"),
	}
	genuine := [2][][]byte{recs[0].inRecords(f), recs[1].inRecords(f)}
	for role := range recs {
		for i, b := range genuine[role] {
			f.Add(role == 1, uint8(i), b)                  // the record that is due
			f.Add(role == 1, uint8(i), b[:len(b)-1])       // cut
			f.Add(role == 1, uint8(i), genuine[1-role][0]) // a hello of the other side
			f.Add(role == 1, uint8(i), genuine[role][0])   // one that was
		}
		f.Add(role == 1, uint8(5), []byte("\x15\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x04\x00\x02\x02\x14"))
	}
	// Fragments of long messages, far ahead.
	f.Add(true, uint8(0), message{typ: clientHelloType, seq: 3, body: make([]byte, maxMessage)}.appendPart(
		record{typ: typeHandshake, version: version12}.appendHeader(nil, messageHeaderLen+1), 7, 1))
	f.Fuzz(func(t *testing.T, server bool, fed uint8, b []byte) {
		role := 0
		if server {
			role = 1
		}
		own := genuine[role]
		var sent, received int
		c := recs[role].start(t, epoch, Config{
			Send:    func([]byte) { sent++ },
			Receive: func([]byte) { received++ },
		})
		for _, r := range own[:int(fed)%(len(own)+1)] {
			c.Handle(epoch, r)
		}
		before, sentBefore, receivedBefore := c.state, sent, received
		c.Handle(epoch, b)
		c.Handle(epoch.Add(time.Second), b)

		isGenuine := false
		for _, r := range own {
			isGenuine = isGenuine || bytes.Contains(b, r)
		}
		if !isGenuine {
			if c.state == established && before != established {
				t.Errorf("established by %x", b)
			}
			if received != receivedBefore {
				t.Errorf("delivered something of %x", b)
			}
			if before == established && (c.state != established || sent != sentBefore) {
				t.Errorf("established session: now %v, %v, %d sent", c.state, c.Err(), sent-sentBefore)
			}
		}
		kept := 0
		for _, p := range c.recv.slots {
			if p != nil {
				kept += len(p.body)
			}
		}
		if kept > maxPending*maxMessage {
			t.Errorf("%d bytes of fragments kept", kept)
		}
		if len(c.transcript) > 8*maxMessage || len(c.flight.items) > 4 {
			t.Errorf("transcript of %d bytes, flight of %d items", len(c.transcript), len(c.flight.items))
		}
		if (c.Err() != nil) != (c.state == closed) {
			t.Errorf("state %v, error %v", c.state, c.Err())
		}
		for range 20 { // every session ends when nothing more comes, or waits for ever
			d := c.Deadline()
			if d.IsZero() {
				return
			}
			c.Tick(d)
		}
		t.Errorf("still a deadline in state %v", c.state)
	})
}

// A front never panics; it lets nothing pass that does not bring its cookie,
// and its answer is no longer than what it answers.
func FuzzFront(f *testing.F) {
	front := Front{Key: []byte("a key of cookies")}
	for _, name := range []string{"joiner-1hop.json", "border-agent.json"} {
		for _, d := range readCapture(f, name).Datagrams {
			f.Add(unhex(f, d.Hex))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, ok := front.Check([]byte("peer"), b)
		if ok {
			t.Fatalf("let %x pass", b)
		}
		if len(reply) > len(b) {
			t.Fatalf("%d bytes answered by %d", len(b), len(reply))
		}
		if reply == nil {
			return
		}
		r, rest, okRecord := nextRecord(reply)
		m, _, okMessage := nextFragment(r.fragment)
		if !okRecord || !okMessage || len(rest) != 0 || m.typ != helloVerifyRequest {
			t.Fatalf("answered by %x", reply)
		}
		if _, err := decodeHelloVerify(m.data); err != nil {
			t.Fatal(err)
		}
	})
}
