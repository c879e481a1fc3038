package api

// Lowpan is the part of a Status that a plain 6LoWPAN network has.
type Lowpan struct {
	Secured    bool   `json:"secured"`
	Permit     bool   `json:"permit"` // devices may join
	KeyIndex   uint8  `json:"key_index,omitempty"`
	Prefix     string `json:"prefix"`
	Sessions   int    `json:"sessions"`
	Registered int    `json:"registered"` // addresses
	Routes     int    `json:"routes"`     // targets that RPL knows
}

// Session is a line of GET /pana/sessions.
type Session struct {
	ID       string  `json:"id"` // "0x0123abcd"
	Identity string  `json:"identity"`
	Method   string  `json:"method"`
	Device   string  `json:"device"` // EUI-64
	Relay    string  `json:"relay,omitempty"`
	State    string  `json:"state"`
	Age      float64 `json:"age"`            // seconds
	Left     float64 `json:"left,omitempty"` // of its lifetime; 0: no end
}

// Credential is a line of GET /credentials. Its key is never told.
type Credential struct {
	Identity string  `json:"identity"`
	Method   string  `json:"method"` // psk or tls
	EUI64    string  `json:"eui64,omitempty"`
	Left     float64 `json:"left,omitempty"` // seconds until it ends; 0: no end
	Ended    bool    `json:"ended,omitempty"`
	// Tried is how the last attempt ended; empty: none yet.
	Tried  string  `json:"tried,omitempty"`
	Ago    float64 `json:"ago,omitempty"`
	Device string  `json:"device,omitempty"`
}

// NewCredential is POST /credentials.
type NewCredential struct {
	Identity string  `json:"identity"`
	Method   string  `json:"method"`
	PSK      string  `json:"psk,omitempty"` // 32 hexadecimal digits
	EUI64    string  `json:"eui64,omitempty"`
	Lifetime float64 `json:"lifetime,omitempty"` // seconds; 0: no end
	Replace  bool    `json:"replace,omitempty"`
}

// Registration is a line of GET /nd.
type Registration struct {
	Address string  `json:"address"`
	Owner   string  `json:"owner"`            // its ROVR
	Router  string  `json:"router,omitempty"` // empty: a neighbour
	Left    float64 `json:"left"`
}

// Route is a line of GET /routes.
type Route struct {
	Target  string   `json:"target"`
	Parents []string `json:"parents,omitempty"`
	Hops    []string `json:"hops,omitempty"`
	Left    float64  `json:"left,omitempty"`
}

// Lease is a line of GET /leases.
type Lease struct {
	Address string  `json:"address"`
	DUID    string  `json:"duid"`
	IAID    uint32  `json:"iaid"`
	State   string  `json:"state"`
	Left    float64 `json:"left"`
}

// RADIUSTest is the body and the answer of POST /radius/test.
type RADIUSTest struct {
	Identity string         `json:"identity,omitempty"`
	Servers  []RADIUSServer `json:"servers,omitempty"`
	Outcome  string         `json:"outcome,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Elapsed  float64        `json:"elapsed,omitempty"` // seconds
}

// RADIUSServer is one of the servers that are configured.
type RADIUSServer struct {
	Name  string `json:"name"`
	Alive bool   `json:"alive"`
}

// Permit is the body of POST /permit.
type Permit struct {
	Permit bool `json:"permit"`
}

// KeyRotation is the answer of POST /rotate-key, and of DELETE
// /pana/sessions/{who}.
type KeyRotation struct {
	Index uint8 `json:"index,omitempty"` // of the key that will be used
}
