package coap

import "fmt"

// Code is a method or a response code (RFC 7252 Section 12.1): class in the
// upper three bits, detail in the lower five.
type Code uint8

// Empty is the code of a message that is neither request nor response.
const Empty Code = 0

// Methods (RFC 7252 Section 12.1.1, RFC 8132).
const (
	GET    Code = 1
	POST   Code = 2
	PUT    Code = 3
	DELETE Code = 4
	FETCH  Code = 5
	PATCH  Code = 6
	IPATCH Code = 7
)

// Response codes (RFC 7252 Section 12.1.2, RFC 7959 Section 2.9).
const (
	Created  Code = 2<<5 | 1
	Deleted  Code = 2<<5 | 2
	Valid    Code = 2<<5 | 3
	Changed  Code = 2<<5 | 4
	Content  Code = 2<<5 | 5
	Continue Code = 2<<5 | 31

	BadRequest               Code = 4 << 5
	Unauthorized             Code = 4<<5 | 1
	BadOption                Code = 4<<5 | 2
	Forbidden                Code = 4<<5 | 3
	NotFound                 Code = 4<<5 | 4
	MethodNotAllowed         Code = 4<<5 | 5
	NotAcceptable            Code = 4<<5 | 6
	RequestEntityIncomplete  Code = 4<<5 | 8
	PreconditionFailed       Code = 4<<5 | 12
	RequestEntityTooLarge    Code = 4<<5 | 13
	UnsupportedContentFormat Code = 4<<5 | 15

	InternalServerError  Code = 5 << 5
	NotImplemented       Code = 5<<5 | 1
	BadGateway           Code = 5<<5 | 2
	ServiceUnavailable   Code = 5<<5 | 3
	GatewayTimeout       Code = 5<<5 | 4
	ProxyingNotSupported Code = 5<<5 | 5
)

// Class returns 0 for methods, 2, 4 or 5 for responses; others are reserved.
func (c Code) Class() uint8 { return uint8(c) >> 5 }

// Detail returns the lower five bits.
func (c Code) Detail() uint8 { return uint8(c) & 31 }

// IsRequest reports whether c is a method.
func (c Code) IsRequest() bool { return c.Class() == 0 && c != Empty }

// IsResponse reports whether c is a response code.
func (c Code) IsResponse() bool {
	return c.Class() == 2 || c.Class() == 4 || c.Class() == 5
}

// IsSuccess reports whether c says that a request succeeded (class 2).
func (c Code) IsSuccess() bool { return c.Class() == 2 }

// String returns the dotted form, "2.04".
func (c Code) String() string { return fmt.Sprintf("%d.%02d", c.Class(), c.Detail()) }
