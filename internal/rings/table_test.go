package rings

// A ring is how far from the bare protocol a package may be.
type ring int

const (
	unclassified ring = iota
	wire              // bytes to values and back
	machine           // events and time in, actions out
	daemon            // sockets, files, clocks, goroutines
	support           // helpers of tests: may use anything, used by tests only
)

func (r ring) String() string {
	return [...]string{"unclassified", "wire", "machine", "daemon", "support"}[r]
}

// table says which ring each folder of the module is in. A folder that holds
// both kinds is named by its outer one.
var table = map[string]ring{
	"ieee802154":     wire,
	"ipv6":           wire,
	"lowpan":         wire,
	"pcap":           wire,
	"radio/hdlc":     wire,
	"sntp":           wire,
	"thread/meshcop": wire,
	"thread/tlv":     wire,

	"alarm":              machine,
	"coap":               machine,
	"dhcp6":              machine,
	"border":             machine,
	"dnssd":              machine,
	"dnssd/mdns":         machine,
	"dnssd/register":     machine,
	"dnssd/srp":          machine,
	"dtls":               machine,
	"dtls/ecjpake":       machine,
	"eap":                machine,
	"eap/noob":           machine,
	"eap/psk":            machine,
	"eap/tls":            machine,
	"enrol":              machine,
	"nat64":              machine,
	"ndp":                machine,
	"otcli":              machine,
	"pana":               machine,
	"radio":              machine,
	"radio/medium":       machine,
	"radio/rcp":          machine,
	"radio/spinel":       machine,
	"radius":             machine,
	"rpl":                machine,
	"sim":                machine,
	"sim/plain":          machine,
	"thread":             machine,
	"thread/addr":        machine,
	"thread/backbone":    machine,
	"thread/dataset":     machine,
	"thread/dhcp":        machine,
	"thread/diag":        machine,
	"thread/inventory":   machine,
	"thread/ip":          machine,
	"thread/joining":     machine,
	"thread/keys":        machine,
	"thread/link":        machine,
	"thread/linkmetrics": machine,
	"thread/mac":         machine,
	"thread/mesh":        machine,
	"thread/mle":         machine,
	"thread/neighbor":    machine,
	"thread/netdata":     machine,
	"thread/publish":     machine,
	"thread/registrar":   machine,
	"thread/survey":      machine,
	"thread/tmf":         machine,
	"thread/trel":        machine,
	"wpan":               machine,
	"wpan/mac":           machine,

	"api":                daemon,
	"api/web":            daemon,
	"cmd/gatewayd":       daemon,
	"demo":               daemon,
	"dnssd/multicast":    daemon,
	"gateway":            daemon,
	"host":               daemon,
	"host/doctor":        daemon,
	"host/firewall":      daemon,
	"host/infra":         daemon,
	"host/backbone":      daemon,
	"host/mroute":        daemon,
	"host/sysctl":        daemon,
	"pacd":               daemon,
	"packaging/sbom":     daemon,
	"internal/appliance": daemon,
	"internal/update":    daemon,
	"internal/durable":   daemon,
	"internal/filepages": daemon,
	"internal/nonblock":  daemon,
	"internal/pump":      daemon,
	"internal/timerfd":   daemon,
	"radio/medium/udp":   daemon,
	"radio/rcpd":         daemon,
	"radio/transport":    daemon,
	"radio/zep":          daemon,
	"radius/udp":         daemon,
	"sim/scenario":       daemon,
	"simnode":            daemon,
	"store":              daemon,

	"internal/appliance/zonegen": daemon,

	"internal/netns":     support,
	"internal/rings":     support,
	"internal/wireshark": support,
	"internal/simair":    support,
	"interop":            support,
	"internal/capture":   support,
	"internal/clishape":  support,
	"bench":              support,
}

// thirdParty lists what a machine may use besides the standard library and
// the module: pure computation and codecs. A path covers what is below it.
var thirdParty = []string{
	"filippo.io/bigmod",
	"filippo.io/nistec",
	"github.com/insomniacslk/dhcp",
	"github.com/miekg/dns",
	"github.com/pion/dtls/v3/pkg",
	"golang.org/x/crypto",
}

// forbiddenStd lists what the two inner rings must not import. A path covers
// what is below it, except what allowedStd names.
var forbiddenStd = map[string]string{
	"context":     "cancelling is the daemon ring's affair",
	"crypto/rand": "randomness is an argument",
	"log":         "a machine returns what is worth logging",
	"net":         "sockets are the daemon ring's affair",
	"os":          "files and processes are the daemon ring's affair",
	"syscall":     "files and processes are the daemon ring's affair",
}

var allowedStd = map[string]bool{"net/netip": true}

// exceptions lists what single packages may import against forbiddenStd, and
// which of its names they may use. Types only: naming a type opens nothing.
var exceptions = map[string]map[string][]string{
	// crypto/tls runs over a net.Conn, and eap/tls is one in memory. An
	// interface cannot be implemented without the types of its methods.
	"eap/tls": {"net": {"Addr", "Conn"}},
}

// forbiddenName says why the two inner rings must not use a package's
// top-level name, or "".
func forbiddenName(pkg, name string) string {
	switch pkg {
	case "time":
		switch name {
		case "Now", "Since", "Until":
			return "time is an argument"
		case "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker":
			return "a machine says when to call it again, it does not wait"
		}
	case "math/rand", "math/rand/v2":
		switch name {
		case "New", "NewPCG", "NewChaCha8", "NewSource", "NewZipf",
			"Rand", "PCG", "ChaCha8", "Source", "Source64", "Zipf":
			return ""
		}
		return "randomness is an argument, the global source is not"
	}
	return ""
}
