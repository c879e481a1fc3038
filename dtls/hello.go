package dtls

import (
	"bytes"
	"encoding/binary"
)

// Specification constants: the suite, and the extensions of the hello messages
// that matter to it.
const (
	suiteECJPAKE = 0xc0ff // TLS_ECJPAKE_WITH_AES_128_CCM_8
	suiteSCSV    = 0x00ff // TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746)

	extMaxFragment    = 1      // RFC 6066 Section 4
	extGroups         = 10     // RFC 8422 Section 5.1.1
	extPointFormats   = 11     // RFC 8422 Section 5.1.2
	extExtendedMaster = 23     // RFC 7627
	extKeyKP          = 256    // draft-cragie-tls-ecjpake-01: ecjpake_key_kp_pair
	extRenegotiation  = 0xff01 // RFC 5746

	groupP256         = 23
	formatPlain       = 0
	compressionNone   = 0
	maxFragmentLowest = 512 // max_fragment_length 1; each next value doubles it
)

// A clientHello is the decoded body of a ClientHello. Slices alias it.
type clientHello struct {
	version      uint16
	random       [randomLen]byte
	cookie       []byte
	rest         []byte // from the cipher suites on: what a cookie is bound to
	suites       []byte
	compressions []byte
	ext          extensions
}

// A serverHello is the decoded body of a ServerHello. Slices alias it.
type serverHello struct {
	version     uint16
	random      [randomLen]byte
	suite       uint16
	compression uint8
	ext         extensions
}

// extensions are those of a hello message that this package understands.
type extensions struct {
	keyKP          []byte // ECJPAKEKeyKPPairList; nil when absent
	groups         []byte // supported_groups without the length; nil when absent
	formats        []byte // ec_point_formats without the length; nil when absent
	maxFragment    uint8  // code of RFC 6066; 0 when absent
	extendedMaster bool
	renegotiation  []byte // renegotiated_connection; nil when absent
	other          bool   // there were others too
}

// appendClientHello writes the body of a ClientHello that offers this
// package's one suite.
func appendClientHello(b []byte, random [randomLen]byte, cookie, keyKP []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, version12)
	b = append(b, random[:]...)
	b = append(b, 0) // no session to resume
	b = append(append(b, byte(len(cookie))), cookie...)
	b = append(b, 0, 4, suiteECJPAKE>>8, suiteECJPAKE&0xff, suiteSCSV>>8, suiteSCSV&0xff)
	b = append(b, 1, compressionNone)
	x := appendExtension(nil, extGroups, []byte{0, 2, 0, groupP256})
	x = appendExtension(x, extPointFormats, []byte{1, formatPlain})
	x = appendExtension(x, extKeyKP, keyKP)
	x = appendExtension(x, extExtendedMaster, nil)
	b = binary.BigEndian.AppendUint16(b, uint16(len(x)))
	return append(b, x...)
}

// appendServerHello writes the body of a ServerHello with x as its extensions.
func appendServerHello(b []byte, random [randomLen]byte, x []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, version12)
	b = append(b, random[:]...)
	b = append(b, 0) // the session cannot be resumed
	b = binary.BigEndian.AppendUint16(b, suiteECJPAKE)
	b = append(b, compressionNone)
	b = binary.BigEndian.AppendUint16(b, uint16(len(x)))
	return append(b, x...)
}

func appendExtension(b []byte, typ uint16, body []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(len(body)))
	return append(b, body...)
}

// appendHelloVerify writes the body of a HelloVerifyRequest. Its version says
// nothing about the one that will be negotiated (RFC 6347 Section 4.2.1).
func appendHelloVerify(b, cookie []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, version12)
	return append(append(b, byte(len(cookie))), cookie...)
}

func decodeClientHello(body []byte) (h clientHello, err error) {
	d := decoder{b: body, msg: "ClientHello "}
	h.version = d.uint16("version")
	copy(h.random[:], d.take(randomLen, "random"))
	d.vector8("session id")
	h.cookie = d.vector8("cookie")
	h.rest = d.b[d.off:]
	h.suites = d.vector16("cipher suites")
	if len(h.suites)%2 != 0 {
		d.fail("cipher suites", ErrValue)
	}
	h.compressions = d.vector8("compression methods")
	if d.left() > 0 {
		h.ext = d.extensions()
	}
	return h, d.end()
}

// offers reports whether the cipher suites include s.
func (h *clientHello) offers(s uint16) bool {
	return pairsInclude(h.suites, s)
}

func decodeServerHello(body []byte) (h serverHello, err error) {
	d := decoder{b: body, msg: "ServerHello "}
	h.version = d.uint16("version")
	copy(h.random[:], d.take(randomLen, "random"))
	d.vector8("session id")
	h.suite = d.uint16("cipher suite")
	h.compression = d.uint8("compression method")
	if d.left() > 0 {
		h.ext = d.extensions()
	}
	return h, d.end()
}

func decodeHelloVerify(body []byte) (cookie []byte, err error) {
	d := decoder{b: body, msg: "HelloVerifyRequest "}
	d.uint16("version")
	cookie = d.vector8("cookie")
	return cookie, d.end()
}

// pairsInclude looks for v in a list of 16-bit numbers.
func pairsInclude(list []byte, v uint16) bool {
	for ; len(list) >= 2; list = list[2:] {
		if binary.BigEndian.Uint16(list) == v {
			return true
		}
	}
	return false
}

// A decoder reads a hello message. It keeps the first error and returns zeros
// from then on, so that a caller checks once.
type decoder struct {
	b   []byte
	off int
	msg string
	err error
}

func (d *decoder) fail(what string, err error) {
	if d.err == nil {
		d.err = &DecodeError{What: d.msg + what, Offset: d.off, Err: err}
	}
}

func (d *decoder) left() int {
	if d.err != nil {
		return 0
	}
	return len(d.b) - d.off
}

func (d *decoder) take(n int, what string) []byte {
	if d.err == nil && len(d.b)-d.off < n {
		d.fail(what, ErrShort)
	}
	if d.err != nil {
		return nil
	}
	d.off += n
	return d.b[d.off-n : d.off : d.off]
}

func (d *decoder) uint8(what string) uint8 {
	if b := d.take(1, what); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint16(what string) uint16 {
	if b := d.take(2, what); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (d *decoder) vector8(what string) []byte  { return d.take(int(d.uint8(what)), what) }
func (d *decoder) vector16(what string) []byte { return d.take(int(d.uint16(what)), what) }

func (d *decoder) end() error {
	if d.left() > 0 {
		d.fail("end", ErrLong)
	}
	return d.err
}

// extensions reads the list at the end of a hello message. Unknown ones are
// skipped, as RFC 5246 Section 7.4.1.4 asks of a server.
func (d *decoder) extensions() (x extensions) {
	if n := int(d.uint16("extensions")); n != d.left() {
		d.fail("extensions", ErrValue)
	}
	seen := make(map[uint16]bool)
	for d.left() > 0 {
		typ := d.uint16("extension")
		if seen[typ] {
			d.fail("extension", ErrDuplicate)
			break
		}
		seen[typ] = true
		v := d.vector16("extension")
		if d.err != nil {
			break
		}
		in := decoder{b: d.b[:d.off], off: d.off - len(v), msg: d.msg}
		switch typ {
		case extKeyKP:
			x.keyKP = in.take(len(v), "")
		case extGroups:
			x.groups = in.vector16("supported groups")
		case extPointFormats:
			x.formats = in.vector8("point formats")
		case extMaxFragment:
			x.maxFragment = in.uint8("max fragment length")
		case extExtendedMaster:
			x.extendedMaster = true
		case extRenegotiation:
			x.renegotiation = in.vector8("renegotiation info")
		default:
			x.other = true
			continue
		}
		if err := in.end(); err != nil {
			d.err = err
		}
	}
	return x
}

// unusable says why a suite of this package cannot go with the curves and
// formats offered; empty when it can. Absent lists mean no restriction.
func (x *extensions) unusable() string {
	switch {
	case x.keyKP == nil:
		return "no EC J-PAKE key share"
	case x.groups != nil && !pairsInclude(x.groups, groupP256):
		return "secp256r1 is not among the groups"
	case x.formats != nil && !bytes.Contains(x.formats, []byte{formatPlain}):
		return "uncompressed is not among the point formats"
	}
	return ""
}
