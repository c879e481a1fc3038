package meshcop

import (
	"bytes"
	"encoding/hex"
	"os"
	"slices"
	"strings"
	"testing"
)

// A codec is a decoder and its Append, of any message of the package.
type codec struct {
	name string
	// run decodes b and encodes the result.
	run func(b []byte) ([]byte, error)
	// reorders says that a fixed order is encoded, whatever was decoded.
	reorders bool
}

type appender[T any] interface {
	*T
	Append([]byte) []byte
}

func of[T any, P appender[T]](decode func([]byte) (T, error)) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		m, err := decode(b)
		if err != nil {
			return nil, err
		}
		return P(&m).Append(nil), nil
	}
}

var codecs = []codec{
	{name: "dataset", run: of(DecodeDataset)},
	{name: "dataset-set", run: of(DecodeDatasetSet)},
	{name: "finalize", run: of(DecodeJoinerFinalize)},
	{name: "entrust", run: of(DecodeJoinerEntrust)},
	{name: "relay-rx", run: of(DecodeRelayRx)},
	{name: "relay-tx", run: of(DecodeRelayTx)},
	{name: "udp-proxy", run: of(DecodeUDPProxy)},
	{name: "petition", run: of(DecodePetition)},
	{name: "petition-response", run: of(DecodePetitionResponse)},
	{name: "keep-alive", run: of(DecodeKeepAlive)},
	{name: "commissioning", run: of(DecodeCommissioningData), reorders: true},
	{name: "announce-begin", run: of(DecodeAnnounceBegin)},
	{name: "energy-scan", run: of(DecodeEnergyScan)},
	{name: "energy-report", run: of(DecodeEnergyReport)},
	{name: "pan-id-query", run: of(DecodePANIDQuery)},
	{name: "discovery-request", run: of(DecodeDiscoveryRequest)},
	{name: "discovery-response", run: of(DecodeDiscoveryResponse)},
	{name: "state", run: func(b []byte) ([]byte, error) {
		s, err := DecodeState(b)
		if err != nil {
			return nil, err
		}
		return AppendState(nil, s), nil
	}},
	{name: "get", run: func(b []byte) ([]byte, error) {
		types, err := DecodeGet(b)
		if err != nil {
			return nil, err
		}
		return AppendGet(nil, types...), nil
	}},
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// captured returns the recorded bodies by kind.
func captured(t testing.TB) map[string][][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/captured.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][][]byte{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 {
			out[f[0]] = append(out[f[0]], unhex(t, f[2]))
		}
	}
	return out
}

// Every recorded body decodes, has nothing unknown to its codec, and encodes to
// the same bytes.
func TestCapturedRoundTrip(t *testing.T) {
	bodies := captured(t)
	n := 0
	for _, c := range codecs {
		for _, in := range bodies[c.name] {
			n++
			out, err := c.run(in)
			if err != nil {
				t.Errorf("%s %x: %v", c.name, in, err)
				continue
			}
			if c.reorders {
				// Same TLVs in any order.
				a, b := sortedTLVs(in), sortedTLVs(out)
				if a != b {
					t.Errorf("%s %x became %x", c.name, in, out)
				}
				continue
			}
			if !bytes.Equal(in, out) {
				t.Errorf("%s\n     %x\nnow  %x", c.name, in, out)
			}
		}
		delete(bodies, c.name)
	}
	if n < 30 || len(bodies) != 0 {
		t.Errorf("%d bodies tried, kinds without codec: %d", n, len(bodies))
	}
}

func sortedTLVs(b []byte) string {
	var parts []string
	for t := range TLVs(b).All() {
		parts = append(parts, hex.EncodeToString(t.Append(nil)))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}
