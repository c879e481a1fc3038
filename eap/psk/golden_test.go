package psk

import (
	"bytes"
	"testing"

	"gatewayd/eap"
)

func mustKey(tb testing.TB, psk []byte) *Key {
	tb.Helper()
	k, err := NewKey(psk)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func seq(from byte) []byte {
	b := make([]byte, 16)
	for i := range b {
		b[i] = from + byte(i)
	}
	return b
}

// recorded is an authentication with its random numbers: requests and
// responses in turn, from the one after the Identity response.
type recorded struct {
	name         string
	psk          []byte
	idS, idP     string
	randS, randP string
	packets      []string
	msk          string // "" where it was not recorded
}

// The first is a unit test of FreeRADIUS, computed with hostapd's code. The
// others were recorded over PANA: OpenPANA's client with hostapd's server, and
// two clients with CPANA's server, which has no name.
var recordings = []recorded{{
	name:  "FreeRADIUS",
	psk:   []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	idS:   "FreeRADIUS",
	idP:   "bob@example.com",
	randS: "101112131415161718191a1b1c1d1e1f",
	randP: "202122232425262728292a2b2c2d2e2f",
	packets: []string{
		`01 01 0020 2f 00  101112131415161718191a1b1c1d1e1f  46726565524144495553`,
		`02 01 0045 2f 40  101112131415161718191a1b1c1d1e1f  202122232425262728292a2b2c2d2e2f
			 97b0ede689a3e4553d8b302258d19512  # MAC_P
			 626f62406578616d706c652e636f6d`,
		`01 02 003b 2f 80  101112131415161718191a1b1c1d1e1f
			 25a1d646879eef187d1cc1ff177e266d  # MAC_S
			 00000000 47d644265cae5a689a40a47ac54ddf80 8f  # counter, tag, result`,
		`02 02 002b 2f c0  101112131415161718191a1b1c1d1e1f
			 00000001 7a7a71527b1f047a77fbf0efa673f754 cc`,
		`03 02 0004`,
	},
	msk: `e282c7c32f4a3b28f18d75860fa2671c46d071e2f7e509ce2e98ae9ae3349977
		      05f927d184ead271f9bcb1b7a1f92230bf0dc90d946117aae0d784b8355957d5`,
}, {
	name:  "OpenPANA with hostapd",
	psk:   []byte("passwordpassword"),
	idS:   "paa.example.net",
	idP:   "user",
	randS: "9f95a0bc1a26412211847881c3cded2a",
	randP: "ce0de480748060f642f3ce4a965e4bc1",
	packets: []string{
		`018d00252f009f95a0bc1a26412211847881c3cded2a7061612e6578616d706c652e6e6574`,
		`028d003a2f409f95a0bc1a26412211847881c3cded2ace0de480748060f642f3ce4a965e4bc1
			 834f73b09467683e4996986328d07eca 75736572`,
		`018e003b2f809f95a0bc1a26412211847881c3cded2a9ae841c97e1e5a9716320101c47163c2
			 00000000 dac617f39f0c78362dbf0f6540c5b036 51`,
		`028e002b2fc09f95a0bc1a26412211847881c3cded2a00000001 36655b7415cce004b989d01ce01c8e77 df`,
		`038e0004`,
	},
	msk: `2eb3e34f5f45f962d442c9eb5511295165359be155598b61866013fc3b39c9cd
		      f51531f62b108945a89791e6a516d61402e3bba40a849b1ad943780bdea7dc60`,
}, {
	name:  "CPANA with itself",
	psk:   []byte("passwordpassword"),
	idS:   "",
	idP:   "user",
	randS: "1101a81bfc13040ff60c735c4998273a",
	randP: "852b79eaed2f7b3b77ac2d9b5ddec776",
	packets: []string{
		`017100162f001101a81bfc13040ff60c735c4998273a`,
		`0271003a2f401101a81bfc13040ff60c735c4998273a852b79eaed2f7b3b77ac2d9b5ddec776
		 898b3e107ee199f8424c1f5546f3b9e775736572`,
		`0172003b2f801101a81bfc13040ff60c735c4998273a1405c5121bdd11bcadc2cb08f2c588a8
		 000000002de0d97d83e97711c36637ba918b70e56d`,
		`0272002b2fc01101a81bfc13040ff60c735c4998273a00000001c0fd8fb0a4bc19775ba05cd393f0821866`,
		`03720004`,
	},
}, {
	name:  "CPANA with itself, again",
	psk:   []byte("passwordpassword"),
	idS:   "",
	idP:   "user",
	randS: "8158aa958966839edacc403f9079fbe6",
	randP: "3560f095e114e4253d3b383fc9ca40ff",
	packets: []string{
		`01b600162f008158aa958966839edacc403f9079fbe6`,
		`02b6003a2f408158aa958966839edacc403f9079fbe63560f095e114e4253d3b383fc9ca40ff
		 89f685c637e5cc88060e6592f880a68775736572`,
		`01b7003b2f808158aa958966839edacc403f9079fbe6f8d24ce8f9578076c9ba5a83f288b147
		 000000001315c56c5f0165a28f819ad314d473188f`,
		`02b7002b2fc08158aa958966839edacc403f9079fbe60000000131bc93e319178fa7a1f1cd39ec5cc14222`,
		`03b70004`,
	},
	msk: `6033c687be41f1532edff56bda96629ac15a1349cb0ccee70a5acb30990c1aed
		43ef94945f9a9548fa0fc1e966322bfaf257309178e52c62d1fd04422756d75b`,
}, {
	name:  "OpenPANA with CPANA",
	psk:   []byte("passwordpassword"),
	idS:   "",
	idP:   "user",
	randS: "aa5cda466cf7acad83222a432c2125ef",
	randP: "21f09406f153533e779c1828bb084f32",
	packets: []string{
		`015900162f00aa5cda466cf7acad83222a432c2125ef`,
		`0259003a2f40aa5cda466cf7acad83222a432c2125ef21f09406f153533e779c1828bb084f32
		 33cbf4d7a79076323eb1079e6eaeca9975736572`,
		`015a003b2f80aa5cda466cf7acad83222a432c2125ef46c5519c2819b14781ad20020e13c3ce
		 000000005facca6338465fe30cd19a6c45c9917a84`,
		`025a002b2fc0aa5cda466cf7acad83222a432c2125ef000000010367c59eb5b0fd52beeade3de43e41f429`,
		`035a0004`,
	},
	msk: `982b18a64a2e4b9559413ca222d631f025a921a3f9d3b3d61d94282d9b21f9cc
	      f388e7a39c752369b772906e1c2d2d756f6c84252d9856a7a2f6a6b2f2497ba9`,
}}

// exchange checks that both sides say what was recorded.
func (r recorded) exchange(t *testing.T) {
	server := &Server{
		ID:     r.idS,
		Lookup: func(id string) *Key { return map[string]*Key{r.idP: mustKey(t, r.psk)}[id] },
		Rand:   bytes.NewReader(unhex(t, r.randS)),
	}
	peer := &Peer{Key: mustKey(t, r.psk), Rand: bytes.NewReader(unhex(t, r.randP))}
	firstID := unhex(t, r.packets[0])[1]
	s := eap.NewServer(eap.ServerConfig{
		FirstIdentifier: firstID - 1,
		Methods:         func(string, eap.Port) []eap.ServerMethodFactory { return []eap.ServerMethodFactory{server} },
	})
	p := eap.NewPeer(eap.PeerConfig{Identity: r.idP, Methods: []eap.PeerMethodFactory{peer}})
	sr := s.Receive(p.Receive(s.Begin().Packet).Packet)
	var pr eap.Result
	for i, hex := range r.packets {
		want := unhex(t, hex)
		got := sr.Packet
		if i%2 == 1 {
			got = pr.Packet
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("packet %d:\n%x, want\n%x", i, got, want)
		}
		if i%2 == 0 {
			pr = p.Receive(want)
		} else {
			sr = s.Receive(want)
		}
	}
	for _, got := range []eap.Result{sr, pr} {
		if got.Outcome != eap.Success || r.msk != "" && !bytes.Equal(got.MSK, unhex(t, r.msk)) || len(got.EMSK) != 64 ||
			!bytes.Equal(got.SessionID, append(append([]byte{0x2f}, unhex(t, r.randP)...), unhex(t, r.randS)...)) {
			t.Errorf("%+v", got)
		}
	}
	if sr.Identity != r.idP || pr.Identity != r.idS {
		t.Errorf("identities %q and %q", sr.Identity, pr.Identity)
	}
}

func TestRecorded(t *testing.T) {
	for _, r := range recordings {
		t.Run(r.name, r.exchange)
	}
}

// The rest of what the FreeRADIUS test gives.
func TestKeyVectors(t *testing.T) {
	var ch channel
	k := mustKey(t, seq(0))
	_, emsk := k.session((*block)(seq(0x20)), &ch.eaxState)
	want := unhex(t, `d20b6b7556339200f04e6530eb7d3c61a7810b5ca93f4c0ba89ea5eedf634a69
		792920a6caea9d8e7b112d6383dd8588b68b74f6e7c2f8d51ace97067117ac92`)
	if !bytes.Equal(emsk, want) {
		t.Errorf("EMSK %x, want %x", emsk, want)
	}
	got := *ch.omac(0, nil)
	tek := newCipher((*block)(unhex(t, "96a00b888b1f6b2f8e201ee96a2277f6")))
	var m eaxState
	m.init(tek)
	if want := *m.omac(0, nil); got != want {
		t.Errorf("the channel's key is not TEK")
	}
	if k.String() != "redacted" {
		t.Errorf("a key prints as %q", k)
	}
}
