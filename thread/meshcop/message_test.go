package meshcop

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func TestRelayFields(t *testing.T) {
	// The frame that ends joining: JOIN_FIN.rsp for the joiner and the KEK for
	// the joiner router.
	in := wire(t, `
		1202 03e8               # joiner port 1000
		1308 90335c4b320830fb   # joiner IID: the joiner ID, its U/L bit flipped
		1402 7c00               # joiner router
		1510 08c7b1672cb4403e5b4f13861fb9d92c
		11ff 0003 17fefd`)
	m, err := DecodeRelayTx(in)
	want := RelayTx{
		JoinerPort:    DefaultJoinerPort,
		JoinerIID:     [8]byte{0x90, 0x33, 0x5c, 0x4b, 0x32, 0x08, 0x30, 0xfb},
		RouterLocator: 0x7c00,
		Encapsulation: []byte{0x17, 0xfe, 0xfd},
		KEK:           &Key{0x08, 0xc7, 0xb1, 0x67, 0x2c, 0xb4, 0x40, 0x3e, 0x5b, 0x4f, 0x13, 0x86, 0x1f, 0xb9, 0xd9, 0x2c},
	}
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("%+v, %v", m, err)
	}
	if got := want.Append(nil); !bytes.Equal(got, in) {
		t.Errorf("encoded %x", got)
	}
}

func TestFinalizeFields(t *testing.T) {
	m, err := DecodeJoinerFinalize(wire(t, `
		1001 01  210a 4f50454e544852454144  220a 53494d554c4154494f4e  2309 336165373431663935
		2506 18b430000010  2006 4f542d4c4142`))
	want := JoinerFinalize{
		State: StateAccept, VendorName: "OPENTHREAD", VendorModel: "SIMULATION", VendorSWVersion: "3ae741f95",
		StackVersion: &StackVersion{OUI: 0x18b430, Minor: 1}, ProvisioningURL: "OT-LAB",
	}
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("%+v, %v", m, err)
	}
	long := AppendString(AppendState(nil, StateAccept), TypeVendorName, "a vendor name that is longer than 32 bytes")
	if _, err := DecodeJoinerFinalize(long); !errors.Is(err, ErrLong) {
		t.Errorf("long vendor name: %v", err)
	}
}

func TestEntrustIsTheDataset(t *testing.T) {
	d := activeDataset()
	m := Entrust(&d, 0)
	// As OpenThread's joiner router sends it for the same dataset.
	want := captured(t)["entrust"][0]
	if got := m.Append(nil); !bytes.Equal(got, want) {
		t.Errorf("%x\nwant %x", got, want)
	}
}

func TestDiscoveryFields(t *testing.T) {
	m, err := DecodeDiscoveryResponse(wire(t, `
		0f02 c002  8102 5800  0208 0001020304050607  030c 54657374204e6574776f726b
		0810 00000000000008002000000000000000  1202 03e8`))
	want := DiscoveryResponse{
		CommissionerUDPPort: new(uint16(0xc002)), Version: DiscoveryVersion, Native: true,
		ExtPANID: &ExtPANID{0, 1, 2, 3, 4, 5, 6, 7}, NetworkName: "Test Network",
		SteeringData: SteeringData{6: 0x08, 8: 0x20, 15: 0}, JoinerUDPPort: new(uint16(1000)),
	}
	if err != nil || !reflect.DeepEqual(m, want) {
		t.Errorf("%+v, %v", m, err)
	}

	q := DiscoveryRequest{Version: 5, Joiner: true, ExtPANID: &ExtPANID{1}, Advertisement: &JoinerAdvertisement{OUI: 0x18b430, Data: []byte("hi")}}
	b := q.Append(nil)
	if got, err := DecodeDiscoveryRequest(b); err != nil || !reflect.DeepEqual(got, q) {
		t.Errorf("%x became %+v, %v", b, got, err)
	}
	for _, n := range []int{2, 68} {
		bad := AppendTLV(wire(t, "8002 5800"), TypeJoinerAdvertisement, make([]byte, n))
		if _, err := DecodeDiscoveryRequest(bad); err == nil {
			t.Errorf("joiner advertisement of %d bytes decoded", n)
		}
	}
}

func TestCommissioningData(t *testing.T) {
	tests := []struct {
		wire    string
		allowed bool
		port    uint16
	}{
		{"0902 5400 0b02 c80b 0801 ff", true, 1000},
		{"0902 5400 0b02 c80b 0801 00", false, 1000},
		{"0b02 c80b 0801 ff", false, 1000},
		{"0902 5400 0b02 c80b 0801 01 1202 1388", true, 5000},
		{"", false, 1000},
	}
	for _, tt := range tests {
		m, err := DecodeCommissioningData(unhex(t, tt.wire))
		if err != nil || m.JoiningAllowed() != tt.allowed || m.JoinerPort() != tt.port {
			t.Errorf("%s: %+v, %v", tt.wire, m, err)
		}
	}
}

func TestGetLimit(t *testing.T) {
	types, err := DecodeGet(AppendTLV(nil, TypeGet, make([]byte, 100)))
	if err != nil || len(types) != MaxGetTypes {
		t.Errorf("%d types, %v", len(types), err)
	}
	if types, err := DecodeGet(nil); err != nil || types != nil {
		t.Errorf("no list became %v, %v", types, err)
	}
}

func TestStateNames(t *testing.T) {
	for s, want := range map[State]string{StatePending: "pending", StateAccept: "accept", StateReject: "reject", 7: "state 0x07"} {
		if s.String() != want {
			t.Errorf("%d is %q", s, s)
		}
	}
}
