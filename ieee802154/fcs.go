package ieee802154

// crcTable is the reversed polynomial x^16 + x^12 + x^5 + 1, a byte at a time.
var crcTable = func() (t [256]uint16) {
	for i := range t {
		crc := uint16(i)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0x8408
			} else {
				crc >>= 1
			}
		}
		t[i] = crc
	}
	return t
}()

// FCS returns the 16-bit frame check sequence of a PSDU (IEEE 802.15.4-2015
// Section 7.2.10). On the air it follows the PSDU, least significant byte
// first; over both, FCS is zero.
func FCS(psdu []byte) uint16 {
	var crc uint16
	for _, c := range psdu {
		crc = crc>>8 ^ crcTable[byte(crc)^c]
	}
	return crc
}
